"""Tables in a real browser: sorted by a heading, columns hidden, all of them on paper."""

from __future__ import annotations

from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from tests.browser.conftest import open_page

NAMES = "return [...document.querySelectorAll('[data-table=times] tbody th')].map(c => c.textContent)"


@pytest.fixture
def page(browser: Any, five: RunFolder) -> Any:
    open_page(browser, five.path / "report.html")
    return browser


def test_a_heading_sorts_and_what_has_no_figure_comes_last(page: Any) -> None:
    heading = page.find_element("css selector", "[data-table=times] th[data-column=animate_s] button")
    page.execute_script("arguments[0].click()", heading)
    assert page.execute_script(NAMES)[:5] == ["Alder", "Birch", "Cedar", "Dogwood", "Elm"]
    page.execute_script("arguments[0].click()", heading)
    names = page.execute_script(NAMES)
    assert names[:5] == ["Elm", "Dogwood", "Cedar", "Birch", "Alder"]
    assert names[5].startswith("Fir")
    sorted_by = page.find_elements("css selector", "[aria-sort]")
    assert [heading.get_attribute("aria-sort") for heading in sorted_by] == ["descending"]


def test_a_column_can_be_hidden_and_paper_has_it_all_the_same(page: Any) -> None:
    box = page.find_element("css selector", "[data-table=costs] .columns input[value=energy_wh]")
    page.execute_script("arguments[0].click()", box)
    cell = page.find_element("css selector", "[data-table=costs] td[data-column=energy_wh]")
    assert not cell.is_displayed()
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert cell.is_displayed()


@pytest.mark.parametrize("width", [720, 1000])
def test_paper_holds_every_column_of_a_full_table(page: Any, width: int) -> None:
    page.set_window_size(width, 1000)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    beyond = "return [...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length"
    assert page.execute_script(beyond) == 0
    gone = "return [...document.querySelectorAll('[data-table] :is(th, td)')].filter(c => !c.checkVisibility()).length"
    assert page.execute_script(gone) == 0, "a cell that is not there moves all others to wrong headings"


def test_the_best_of_ranges_that_lie_apart_is_marked(page: Any) -> None:
    best = page.find_elements("css selector", "[data-table=times] .best")
    assert [cell.text for cell in best] == ["10.1 s", "3.12 s", "0.52"]


def test_a_desk_holds_every_column_too(page: Any) -> None:
    page.set_window_size(1440, 900)
    cut = "return [...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    assert set(page.execute_script(cut)) == {0}, "a column is cut off"
