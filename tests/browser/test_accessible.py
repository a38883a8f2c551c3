"""axe-core finds nothing wrong, in light and dark, on a phone, in every view.

It is not shipped: FACEORCH_TEST_AXE names the file axe.min.js of the npm package axe-core.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from tests.browser.conftest import open_page

AXE = os.environ.get("FACEORCH_TEST_AXE", "")

VIEWS = {
    "all": "",
    "wipe": "faceorch.compare.set({mode: 'wipe'})",
    "solo": "faceorch.compare.set({mode: 'solo'})",
    "mouth": "faceorch.zoom.show('mouth')",
    "vote": "faceorch.vote.start()",
    "vote's end": "faceorch.vote.start(); faceorch.vote.choose('left'); faceorch.vote.finish()",
    "help": "document.querySelector('#help').showModal()",
    "unfolded": "document.querySelectorAll('details').forEach((one) => { one.open = true; })",
}


@pytest.mark.skipif(not AXE, reason="needs axe-core (npm pack axe-core; FACEORCH_TEST_AXE=…/axe.min.js)")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing(browser: Any, five: RunFolder, view: str, scheme: str, width: int) -> None:
    # So high that the player, which sticks to the lower edge, covers nothing.
    metrics = {"width": width, "height": 2400, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    open_page(browser, five.path / "report.html")
    browser.execute_script(VIEWS[view])
    browser.execute_script(Path(AXE).read_text("utf-8"))
    found = browser.execute_async_script(
        "const done = arguments[0];"
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
        ".then((result) => done(result.violations.map((v) => [v.id, v.nodes.map((n) => n.html.slice(0, 200))])))"
    )
    assert found == []


def test_what_moves_stands_still_for_who_wants_that(browser: Any, five: RunFolder) -> None:
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    open_page(browser, five.path / "report.html")
    moving = "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).transitionDuration !== '0s').length"
    assert browser.execute_script(f"return {moving}") == 0
    assert not browser.execute_script("return faceorch.players.playing"), "nothing plays by itself"


def test_the_tab_key_reaches_everything_in_the_order_of_the_page(browser: Any, five: RunFolder) -> None:
    open_page(browser, five.path / "report.html")
    order = browser.execute_script(
        "const all = [...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]"
        "  .filter((e) => e.checkVisibility());"
        "return [all.every((e) => e.tabIndex === 0), all.every((e) => e.disabled !== true)]"
    )
    assert order == [True, True]


def test_what_has_the_focus_is_not_below_the_player(browser: Any, five: RunFolder) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    open_page(browser, five.path / "report.html")
    covered = browser.execute_script(
        "const covered = [], bar = document.querySelector('.bar');"
        "for (const one of document.querySelectorAll('#stage button, #stage a, .said button, .said summary')) {"
        "  if (!one.checkVisibility()) continue;"
        "  one.focus();"
        "  if (one.getBoundingClientRect().bottom > bar.getBoundingClientRect().top"
        "      && one.compareDocumentPosition(bar) & Node.DOCUMENT_POSITION_FOLLOWING) covered.push(one.outerHTML);"
        "}"
        "return covered"
    )
    assert covered == []
