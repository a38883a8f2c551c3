"""The blind vote in a real browser: no name until the end, then a ranking, and a file that faceorch adds up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from faceorch.report import votes, write_report
from tests.browser.conftest import open_page, until
from tests.made_up import NAMES

ASKED = "return faceorch.vote.ballot.pair"
VISIBLE = """
    const told = [document.title, location.href.split('/').at(-1)];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        if (walker.currentNode.parentElement.checkVisibility()) told.push(walker.currentNode.data);
    }
    return told.join(' ')
"""


@pytest.fixture
def page(browser: Any, five: RunFolder) -> Any:
    open_page(browser, five.path / "report.html", "#solo=elm")
    browser.execute_script("document.querySelector('#start-vote').click()")
    return browser


def press(browser: Any, key: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(key).perform()


def vote_by_order(browser: Any) -> int:
    """Vote until the page has enough: the earlier name of the alphabet always wins."""
    count = 0
    while browser.execute_script("return document.querySelector('#vote').dataset.state") == "asking":
        left, right = browser.execute_script(ASKED)
        press(browser, "1" if left < right else "3")
        count += 1
    return count


def test_no_name_is_told_while_people_vote(page: Any) -> None:
    remarks = page.find_elements("css selector", "#looking > p")
    assert len(remarks) == 2, "of whose word it is where faces are, and of marks: both may name networks"
    assert not any(remark.is_displayed() for remark in remarks)
    for _ in range(3):
        told = page.execute_script(VISIBLE).lower()
        assert not [name for name in NAMES if name in told]
        for key in "wdsau":  # keys that would show names
            press(page, key)
        press(page, "2")
    assert not [name for name in NAMES if name in page.execute_script(VISIBLE).lower()]


@pytest.mark.parametrize(("width", "height"), [(1280, 760), (1440, 900), (390, 844)])
def test_pictures_question_and_player_are_in_sight_together(page: Any, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.execute_script("document.querySelector('#looking').scrollIntoView()")
        choices, bar = (
            page.execute_script("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", one)
            for one in (".vote .choices", ".bar")
        )
        assert choices["bottom"] <= bar["top"]
        assert bar["bottom"] <= height
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_two_play_side_by_side_in_step(page: Any) -> None:
    shown = "return [...document.querySelectorAll('figure')].filter(f => f.offsetParent).map(f => f.dataset.name)"
    assert page.execute_script(shown) == page.execute_script(ASKED)
    until(page, "return faceorch.players.time", "they do not play", lambda t: t > 0.2)
    until(page, "return faceorch.players.drift", "they are not in step", lambda drift: drift < 0.04)


def test_it_ends_when_the_ranking_is_clear_enough_and_tells_the_names(page: Any) -> None:
    assert 10 <= vote_by_order(page) <= 18, "every pair once, neighbours again"
    rows = page.find_elements("css selector", "#vote tbody tr")
    assert [row.find_element("css selector", "td").text for row in rows] == [
        "Alder",
        "Birch",
        "Cedar",
        "Dogwood",
        "Elm",
    ]
    page.find_element("css selector", "#vote .leave").click()
    assert page.execute_script("return [faceorch.compare.mode, faceorch.compare.a]") == ["solo", "elm"]


def test_what_is_saved_is_what_faceorch_adds_up(page: Any, five: RunFolder, tmp_path: Path) -> None:
    vote_by_order(page)
    link = page.find_element("css selector", "#vote .save")
    assert link.get_attribute("href").startswith("blob:")
    assert link.get_attribute("download").endswith(".json")
    saved = page.execute_script("return faceorch.vote.exported()")
    assert json.loads(saved)["faceorch_votes"] == 1
    (tmp_path / "votes.json").write_text(saved, "utf-8")
    shutil.copytree(five.path, tmp_path / "run")
    run = RunFolder.load(tmp_path / "run")
    votes.keep(run, [tmp_path / "votes.json"])
    found = votes.ranking(run)
    assert found is not None
    assert [place.network for place in found.places] == sorted(NAMES)
    assert "What people prefer" in write_report(run, with_grid=False).read_text("utf-8")


def test_the_order_differs_from_one_vote_to_the_next(browser: Any, five: RunFolder) -> None:
    seen = set()
    for _ in range(4):
        open_page(browser, five.path / "report.html")
        browser.execute_script("document.querySelector('#start-vote').click()")
        seen.add(tuple(browser.execute_script(ASKED)))
    assert len(seen) > 1, "the same of 20 pairs four times in a row: one in 8000"
