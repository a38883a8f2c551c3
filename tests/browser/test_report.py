"""The report in a real browser, from a file: it plays, it names every outcome, and it asks no network for anything."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from faceorch.record.request import Request
from tests.conftest import LIMIT_S, MakeNetwork, compare_here, ignore, write_tone

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver (apt install chromium chromium-driver)"
)

BAD = """
    from faceorch_runner import Network
    class Bad(Network):
        def animate(self, job, progress):
            raise ValueError("<b>not bold</b> & \\u2028 \\"quoted\\"")
"""


@pytest.fixture
def run(make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path) -> RunFolder:
    return make_run(make_network, portrait, clip, tmp_path / "results")


def make_run(make_network: MakeNetwork, portrait: Path, clip: Path, out: Path) -> RunFolder:
    """Make a run with two videos, a failure with hostile words, and a network that cannot run."""
    for name in ("grey", "other"):
        make_network(name)
    make_network("bad", BAD)
    pythons = dict.fromkeys(("grey", "other", "bad"), sys.executable)
    request = Request(portrait=str(portrait), clip=str(clip), networks=tuple(pythons), runtime="venv", pythons=pythons)
    return compare_here(request, ignore, out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--autoplay-policy=no-user-gesture-required", "--window-size=1280,1600"),
        f"--user-data-dir={tmp_path_factory.mktemp('browser')}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def open_page(browser: Any, page: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.absolute().as_uri())
    WebDriverWait(browser, LIMIT_S).until(
        lambda b: b.execute_script("return document.documentElement.dataset.videos"), "the videos do not load"
    )


def requested(browser: Any) -> list[str]:
    """Return what the page asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


def test_the_page_stands_alone_and_says_nothing_to_the_console(browser: Any, run: RunFolder) -> None:
    open_page(browser, run.path / "report.html")
    assert [url for url in requested(browser) if not url.startswith(("file:", "data:", "chrome:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "no sideways scroll"


def test_all_videos_play_together(browser: Any, make_network: MakeNetwork, portrait: Path, tmp_path: Path) -> None:
    """One that is elsewhere is brought back to the others: the clip is long, so that its end does not do that."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    run = make_run(make_network, portrait, write_tone(tmp_path / "long.wav", seconds=120.0), tmp_path / "results")
    open_page(browser, run.path / "report.html")
    assert browser.execute_script("return document.documentElement.dataset.videos") == "2 ready, 120.00 s"
    browser.find_element(By.ID, "play").click()
    times = "return [...document.querySelectorAll('video')].map(v => v.currentTime)"
    WebDriverWait(browser, LIMIT_S).until(lambda b: min(b.execute_script(times)) > 0.0, "they do not play")
    browser.execute_script("document.querySelectorAll('video')[1].currentTime += 60")

    def together(b: Any) -> bool:
        first, second = b.execute_script(times)
        return bool(abs(first - second) < 0.2)

    WebDriverWait(browser, LIMIT_S).until(together, "they do not play together")
    paused = "return [...document.querySelectorAll('video')].map(v => v.paused)"
    assert browser.execute_script(paused) == [False, False]
    assert browser.execute_script("return [...document.querySelectorAll('video')].filter(v => !v.muted).length") == 1
    browser.find_element(By.ID, "play").click()
    assert browser.execute_script(paused) == [True, True]


def test_every_outcome_is_told_and_hostile_words_stay_words(browser: Any, run: RunFolder) -> None:
    from selenium.webdriver.common.by import By

    open_page(browser, run.path / "report.html")
    text = browser.find_element(By.TAG_NAME, "body").text
    assert "ValueError: <b>not bold</b> &" in text
    assert "2 of 3 networks made videos of face.png speaking clip.wav (1.0 s); 1 failed." in text
    assert browser.find_elements(By.CSS_SELECTOR, "main b") == []


def test_a_narrow_screen_needs_no_sideways_scroll(browser: Any, run: RunFolder) -> None:
    open_page(browser, run.path / "report.html")
    browser.set_window_size(500, 900)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        browser.set_window_size(1280, 1600)


def test_paper_holds_every_column(browser: Any, run: RunFolder) -> None:
    open_page(browser, run.path / "report.html")
    browser.set_window_size(720, 1000)  # A4 between its margins
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    beyond = "[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth).length"
    try:
        assert browser.execute_script(f"return {beyond}") == 0
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.set_window_size(1280, 1600)
