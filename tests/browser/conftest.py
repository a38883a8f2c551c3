"""A real browser, and pages in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from faceorch.report import write_report
from tests.conftest import LIMIT_S
from tests.made_up import make_comparison

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs chromium and chromedriver (apt install chromium chromium-driver)")
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


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """The browser; whatever a page did in it, nothing may have gone wrong, and nothing may have left the machine."""
    chromium.get("about:blank")
    chromium.get_log("browser")
    requested(chromium)
    yield chromium
    assert [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert [url for url in requested(chromium) if not url.startswith(LOCAL)] == []
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.set_window_size(1280, 1600)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get("about:blank")  # videos that go on playing take a third of a core


LOCAL = ("file:", "data:", "blob:", "chrome:", "about:")


@pytest.fixture(scope="session")
def five(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A comparison of five networks that do not exist, at four frame rates; a sixth failed, a seventh was skipped."""
    folder = make_comparison(tmp_path_factory.mktemp("five") / "run", seconds=6.0)
    write_report(folder)
    return folder


def open_page(browser: Any, page: Path, moment: str = "") -> None:
    """Open a page from its file and wait for its videos."""
    browser.get("about:blank")  # another address of the same page would not load it again
    browser.get(page.absolute().as_uri() + moment)
    until(browser, "return document.documentElement.dataset.videos", "the videos do not load")


def until(browser: Any, script: str, what: str, check: Callable[[Any], Any] = bool) -> Any:
    """Wait until a script returns what `check` accepts, and return it."""
    from selenium.webdriver.support.ui import WebDriverWait

    found: list[Any] = []

    def look(driver: Any) -> bool:
        found[:] = [driver.execute_script(script)]
        return bool(check(found[0]))

    WebDriverWait(browser, LIMIT_S, poll_frequency=0.05).until(look, what)
    return found[0]


def requested(browser: Any) -> list[str]:
    """Return what pages have asked for since the last time, and were not refused by their own policy."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    refused = {
        m["params"]["requestId"]
        for m in messages
        if m["method"] == "Network.loadingFailed" and m["params"].get("blockedReason") == "csp"
    }
    asked = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in asked if one["requestId"] not in refused]
