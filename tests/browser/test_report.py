"""The report in a real browser, from a file: it plays, it names every outcome, and it asks no network for anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from faceorch.record.request import Request
from faceorch.report import write_single_file
from tests.browser.conftest import LOCAL, open_page, requested, until
from tests.conftest import LIMIT_S, MakeNetwork, compare_here, ignore, wait_until, write_tone

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


def test_the_page_stands_alone_and_says_nothing_to_the_console(browser: Any, run: RunFolder) -> None:
    open_page(browser, run.path / "report.html")
    assert [url for url in requested(browser) if not url.startswith(LOCAL)] == []
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


def test_paper_is_light_whatever_the_screen_is(browser: Any, five: RunFolder) -> None:
    colours = """
        return [...document.querySelectorAll('html, body, body *')].map(one => {
            const style = getComputedStyle(one);
            const parts = [style.colorScheme, style.color, style.fill, style.backgroundColor, style.borderTopColor];
            return [one.tagName, one.className, ...parts].join(' ');
        })
    """
    found = []
    for scheme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": features})
        open_page(browser, five.path / "report.html")
        found.append(browser.execute_script(colours))
    assert found[0] == found[1]


def test_one_file_plays_and_votes_without_anything_beside_it(browser: Any, five: RunFolder, tmp_path: Path) -> None:
    page = write_single_file(five, tmp_path / "alone.html")
    open_page(browser, page)
    assert browser.execute_script("return document.documentElement.dataset.videos") == "5 ready, 6.00 s"
    browser.execute_script("document.querySelector('#play').click()")
    until(browser, "return faceorch.players.time", "it does not play", lambda t: t > 0.2)
    browser.execute_script("document.querySelector('#play').click()")
    link = "document.querySelector('[data-name=birch] [data-take=src]')"
    browser.execute_script(f"{link}.addEventListener('click', (e) => e.preventDefault()); {link}.click()")
    assert browser.execute_script(f"return {link}.href.slice(0, 14)") == "data:video/mp4"


def test_the_policy_lets_nothing_else_run(browser: Any, five: RunFolder, tmp_path: Path) -> None:
    """Markup that got in all the same would be dead: no script, no style, no picture from elsewhere."""
    page = (five.path / "report.html").read_text("utf-8")
    more = "<img src='http://example.org/x.png' onerror='window.hurt = 1'><script>window.hurt = 2</script>"
    for name in ("alder", "birch", "cedar", "dogwood", "elm"):
        page = page.replace(f'src="{name}.mp4"', f'src="{(five.path / name).as_uri()}.mp4"')
    (tmp_path / "bad.html").write_text(page.replace("<h1>", f"{more}<h1>"), "utf-8")
    open_page(browser, tmp_path / "bad.html")
    assert browser.execute_script("return window.hurt ?? null") is None
    assert [url for url in requested(browser) if not url.startswith(LOCAL)] == []
    said = [entry["message"] for entry in browser.get_log("browser")]
    assert len([line for line in said if "Content Security Policy" in line]) >= 2


CLICK = "document.querySelector({link!r}).click()"
VIDEO, STILL = "[data-name=birch] [data-take=src]", "[data-name=birch] [data-take=poster]"


@pytest.fixture
def downloads(browser: Any, tmp_path: Path) -> Iterator[Path]:
    """The folder that downloads arrive in."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    yield folder
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})


def test_what_is_in_one_file_can_be_saved(browser: Any, five: RunFolder, tmp_path: Path, downloads: Path) -> None:
    open_page(browser, write_single_file(five, tmp_path / "alone.html"))
    for link, name in ((VIDEO, "birch.mp4"), (STILL, "birch.jpg")):
        browser.execute_script(CLICK.format(link=link))
        wait_until((downloads / name).is_file, f"{name} is saved")
    assert (downloads / "birch.mp4").read_bytes() == (five.path / "birch.mp4").read_bytes()
    assert len(browser.window_handles) == 1


def test_what_lies_beside_a_page_on_disk_opens_beside_the_page(browser: Any, five: RunFolder) -> None:
    """A browser saves nothing from file: to file:, and would leave the page for the video."""
    open_page(browser, five.path / "report.html")
    (own,) = browser.window_handles
    browser.execute_script(CLICK.format(link=VIDEO))
    wait_until(lambda: len(browser.window_handles) == 2, "the video is opened")
    (other,) = {*browser.window_handles} - {own}
    browser.switch_to.window(other)
    assert browser.current_url == (five.path / "birch.mp4").as_uri()
    browser.close()
    browser.switch_to.window(own)
    assert browser.current_url.startswith((five.path / "report.html").as_uri())


def test_full_screen_comes_and_goes(browser: Any, five: RunFolder) -> None:
    open_page(browser, five.path / "report.html")
    full = "return document.fullscreenElement?.id ?? null"
    button = browser.find_element("css selector", "#full")
    button.click()
    until(browser, full, "it does not fill the screen", lambda found: found == "looking")
    button.click()
    until(browser, full, "it does not come back", lambda found: found is None)
