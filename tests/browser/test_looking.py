"""Looking at the videos: in step, zoomed, compared, looped, by mouse, finger, key and link, in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from faceorch.record.folder import RunFolder
from faceorch.record.judgement import Box
from faceorch.report import write_report
from tests.browser.conftest import open_page, until
from tests.made_up import RATES, make_comparison

FRAME_S = 1 / max(RATES[:4])
SHOWN = "return [...document.querySelectorAll('figure')].filter(f => f.offsetParent).map(f => f.dataset.name)"
TRANSFORMS = "return [...document.querySelectorAll('.frame > :is(video, img)')].map(v => getComputedStyle(v).transform)"


@pytest.fixture
def page(browser: Any, five: RunFolder) -> Any:
    open_page(browser, five.path / "report.html")
    return browser


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys("".join(keys)).perform()


def click(browser: Any, selector: str) -> None:
    browser.execute_script("arguments[0].click()", browser.find_element("css selector", selector))


def settled(browser: Any) -> None:
    until(browser, "return faceorch.players.items.every(i => !i.video.seeking)", "the videos do not arrive")


def test_different_frame_rates_play_within_a_frame(page: Any) -> None:
    click(page, "#loop")
    click(page, "#play")
    until(page, "return faceorch.players.time", "they do not play", lambda t: t > 0.5)
    page.execute_script(
        "faceorch.players.items[2].video.currentTime += 1; faceorch.players.items[4].video.currentTime = 0"
    )
    for _ in range(5):
        until(page, "return faceorch.players.drift", "they do not play in step", lambda drift: drift < FRAME_S)
    assert page.execute_script("return faceorch.players.items.filter(i => !i.video.muted).length") == 1
    click(page, "#play")
    assert page.execute_script("return faceorch.players.items.every(i => i.video.paused)")


def test_one_that_falls_behind_is_waited_for(page: Any) -> None:
    click(page, "#loop")
    click(page, "#play")
    until(page, "return faceorch.players.time", "they do not play", lambda t: t > 1)
    page.execute_script(
        "window.led = [];"
        "const lead = faceorch.players.lead.video;"
        "lead.addEventListener('pause', () => led.push('waits'));"
        "lead.addEventListener('seeking', () => led.push('seeks'));"
        "faceorch.players.items[2].video.currentTime -= 0.6"
    )
    until(page, "return led[0]", "it does not wait", lambda first: first == "waits")
    until(page, "return faceorch.players.meeting === null", "they do not go on")
    for _ in range(3):
        until(page, "return faceorch.players.drift", "they do not play in step", lambda drift: drift < FRAME_S)
    assert page.execute_script("return faceorch.players.playing")
    page.execute_script("faceorch.players.items[2].video.currentTime -= 0.6")
    click(page, "#play")
    assert page.execute_script("return [faceorch.players.playing, faceorch.players.meeting]") == [False, None]


def test_a_step_shows_the_same_moment_everywhere(page: Any) -> None:
    for _ in range(3):
        click(page, "#forth")
    settled(page)
    times = page.execute_script("return faceorch.players.items.map(i => i.video.currentTime)")
    assert times == pytest.approx([3.5 / RATES[0]] * 5, abs=0.001)
    click(page, "#back")
    settled(page)
    assert page.execute_script("return faceorch.players.time") == pytest.approx(2.5 / RATES[0], abs=0.001)


def test_speed_goes_from_a_tenth_to_double(page: Any) -> None:
    from selenium.webdriver.support.ui import Select

    select = Select(page.find_element("id", "speed"))
    for speed in ("0.1", "2"):
        select.select_by_value(speed)
        rates = page.execute_script("return faceorch.players.items.map(i => i.video.playbackRate)")
        assert rates == [float(speed)] * 5


def test_a_passage_is_looped(page: Any) -> None:
    page.execute_script("faceorch.players.seek(1)")
    settled(page)
    press(page, "[")
    page.execute_script("faceorch.players.seek(1.5)")
    settled(page)
    press(page, "]")
    assert page.execute_script("return faceorch.players.passage") == pytest.approx({"from": 1.0, "to": 1.5}, abs=0.01)
    page.execute_script(
        "window.before = 0; window.jumps = 0;"
        "faceorch.players.addEventListener('change', () => {"
        "  const now = faceorch.players.time; if (now < window.before - 0.2) window.jumps += 1; window.before = now; })"
    )
    click(page, "#play")
    until(page, "return window.jumps", "it does not begin again", lambda jumps: jumps > 1)
    assert page.execute_script("return faceorch.players.time") < 2.5
    click(page, "#play")


def test_zoom_buttons_bring_each_mouth_into_the_middle(page: Any) -> None:
    click(page, "[data-region=mouth]")
    middle = """
        const frame = document.querySelector('[data-name=alder] .frame').getBoundingClientRect();
        const video = document.querySelector('[data-name=alder] video').getBoundingClientRect();
        return [0.5, 0.66].map((share, axis) => axis
            ? (video.top + share * video.height - frame.top) / frame.height
            : (video.left + share * video.width - frame.left) / frame.width)
    """
    assert page.execute_script(middle) == pytest.approx([0.5, 0.5], abs=0.01)
    click(page, "[data-region='']")
    assert page.execute_script(TRANSFORMS) == ["none"] * 6


def test_without_a_judge_the_networks_own_word_zooms(browser: Any, unjudged: RunFolder) -> None:
    told = {"mouth": Box(left=0.4, top=0.6, width=0.2, height=0.12)}
    shown(browser, unjudged, {"alder": (told, {"face": Box(left=0.2, top=0.2, width=0.5, height=0.5)})})
    buttons = "return [...document.querySelectorAll('[data-region]')].filter(b => !b.hidden).map(b => b.dataset.region)"
    assert browser.execute_script(buttons) == ["", "face", "mouth"]
    click(browser, "[data-region=mouth]")
    scale = """
        const picture = document.querySelector(`[data-name=${arguments[0]}] .frame > *`);
        return new DOMMatrix(getComputedStyle(picture).transform).a
    """
    scales = [browser.execute_script(scale, name) for name in ("portrait", "alder", "birch")]
    # Where the mouth is not known, the face is: here the portrait's, also of a video of its proportions.
    assert scales == pytest.approx([1 / 0.75, 1 / 0.3, 1 / 0.75], abs=0.01)


def test_without_any_word_there_are_no_buttons_and_the_page_says_why(browser: Any, unjudged: RunFolder) -> None:
    shown(browser, unjudged, {})
    assert browser.execute_script("return document.querySelectorAll('[data-region]:not([hidden])').length") == 1
    assert "no network told where they are" in browser.find_element("id", "looking").text
    press(browser, "m")
    assert browser.execute_script(TRANSFORMS) == ["none"] * 3


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("unjudged") / "run"
    return make_comparison(folder, count=2, seconds=1.0, repeat=1, judged=False, failures=False)


def shown(browser: Any, folder: RunFolder, told: dict[str, tuple[dict[str, Box], dict[str, Box]]]) -> None:
    """Open the report of a run whose networks told (the video's, the portrait's) boxes."""
    for job in folder.run.jobs:
        assert job.video is not None
        boxes, portrait_boxes = told.get(job.network, ({}, {}))
        video = structs.replace(job.video, boxes=boxes, portrait_boxes=portrait_boxes)
        folder.run.put(structs.replace(job, video=video))
    write_report(folder)
    open_page(browser, folder.path / "report.html")


def test_wheel_drag_and_double_click_move_all_pictures_alike(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.keys import Keys

    frame = page.find_element("css selector", "[data-name=birch] .frame")
    wheel = ScrollOrigin.from_element(frame)
    turned = ActionChains(page).key_down(Keys.CONTROL).scroll_from_origin(wheel, 0, -300).key_up(Keys.CONTROL)
    turned.perform()
    zoomed = page.execute_script(TRANSFORMS)
    assert "none" not in zoomed
    before = page.execute_script("return faceorch.zoom.x")
    ActionChains(page).click_and_hold(frame).move_by_offset(40, 0).release().perform()
    assert page.execute_script("return faceorch.zoom.x") < before
    assert not page.execute_script("return faceorch.players.playing"), "the end of a drag is not a click"
    ActionChains(page).double_click(frame).perform()
    assert page.execute_script("return faceorch.zoom.scale") == 1


def test_a_pinch_zooms(page: Any) -> None:
    box = page.execute_script(
        "const { x, y, width } = document.querySelector('[data-name=alder] .frame').getBoundingClientRect();"
        "return [x, y, width]"
    )
    x, y = box[0] + box[2] / 2, box[1] + box[2] / 2

    def touch(kind: str, *spread: float) -> None:
        points = [{"x": x + s, "y": y, "id": n} for n, s in enumerate(spread)]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    try:
        touch("touchStart", -20, 20)
        for spread in (30, 40, 50, 60):
            touch("touchMove", -spread, spread)
        touch("touchEnd")
        until(page, "return faceorch.zoom.scale", "it does not zoom", lambda scale: scale > 1.5)
    finally:
        page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_a_wheel_that_passes_by_scrolls_the_page(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    frame = page.find_element("css selector", "[data-name=birch] .frame")
    ActionChains(page).scroll_from_origin(ScrollOrigin.from_element(frame), 0, 200).perform()
    assert page.execute_script("return faceorch.zoom.scale") == 1
    until(page, "return scrollY", "it does not scroll")


def test_a_wipe_lays_two_over_each_other(page: Any) -> None:
    press(page, "w")
    assert page.execute_script(SHOWN) == ["alder", "birch"]
    place = "document.querySelector(`[data-name=${name}] .frame`).getBoundingClientRect()"
    places = page.execute_script(f"return ['alder', 'birch'].map((name) => JSON.stringify({place}))")
    assert places[0] == places[1]
    handle = page.find_element("id", "wipe")
    handle.send_keys("\ue012" * 5)  # the left arrow
    assert handle.get_attribute("aria-valuenow") == "40"
    clip = page.execute_script("return getComputedStyle(document.querySelector('.over')).clipPath")
    assert clip.startswith("inset(0px 0px 0px 40%")
    press(page, "x")
    assert page.find_element("css selector", ".side.left").text == "Birch"


def test_the_difference_of_two_is_one_picture(page: Any) -> None:
    page.execute_script("faceorch.compare.set({mode: 'difference', a: 'alder', b: 'birch'})")
    over = "return getComputedStyle(document.querySelector('.over')).mixBlendMode"
    assert page.execute_script(over) == "difference"
    assert page.execute_script(SHOWN) == ["alder", "birch"]


def test_one_alone_and_back(page: Any) -> None:
    click(page, "[data-name=cedar] .alone")
    assert page.execute_script(SHOWN) == ["cedar"]
    click(page, "#play")
    until(page, "return faceorch.players.time", "it does not play", lambda t: t > 0.2)
    assert page.execute_script("return faceorch.players.items.filter(i => !i.video.paused).map(i => i.name)") == [
        "cedar"
    ]
    press(page, "a")
    until(page, "return faceorch.players.items.every(i => !i.video.paused)", "the others do not play on")
    until(page, "return faceorch.players.drift", "the others are not in step", lambda drift: drift < FRAME_S)
    click(page, "#play")


def test_videos_change_places(page: Any) -> None:
    click(page, "[data-name=elm] .earlier")
    click(page, "[data-name=alder] .later")
    assert page.execute_script(SHOWN) == ["portrait", "birch", "alder", "cedar", "elm", "dogwood"]


def test_an_address_holds_a_moment_and_a_view(browser: Any, five: RunFolder) -> None:
    open_page(browser, five.path / "report.html", "#t=3.2&zoom=mouth&ab=cedar,alder&wipe=0.3&speed=0.5&loop=3,4")
    until(browser, "return faceorch.players.time", "it does not go there", lambda t: abs(t - 3.2) < 0.001)
    assert browser.execute_script(SHOWN) == ["alder", "cedar"]
    assert browser.execute_script("return [faceorch.zoom.region, faceorch.compare.a, faceorch.players.speed]") == [
        "mouth",
        "cedar",
        0.5,
    ]
    # ... and what is done is in the address again.
    browser.execute_script("faceorch.players.seek(1.25); faceorch.compare.set({mode: 'solo', a: 'elm'})")
    wanted = "#t=1.25&zoom=mouth&solo=elm&speed=0.5&loop=3,4"
    until(browser, "return location.hash", "the address does not follow", lambda found: found == wanted)


def test_an_address_is_not_written_over_before_it_is_followed(browser: Any, five: RunFolder) -> None:
    """On a busy machine or a slow line, videos are there long after the page's first changes."""
    open_page(browser, five.path / "report.html")
    kept = """
        history.replaceState(null, "", "#t=3.2");
        const link = new faceorch.link.constructor(faceorch), found = [link.ready];
        link.write();
        found.push(location.hash);
        link.ready = true;
        link.write();
        return [...found, location.hash, faceorch.link.ready];
    """
    assert browser.execute_script(kept) == [False, "#t=3.2", "", True]


@pytest.mark.parametrize(
    "moment",
    ["#t=NaN&zoom=nose&ab=nobody,alder", "#ab=&diff=&at=1,2&loop=4,3&speed=-1", "#order=elm,elm,x&t=1e9", "#%"],
)
def test_an_address_of_nonsense_does_no_harm(browser: Any, five: RunFolder, moment: str) -> None:
    open_page(browser, five.path / "report.html", moment)
    assert len(browser.execute_script(SHOWN)) == 6


def test_words_lead_to_their_moment(page: Any) -> None:
    assert "are estimated" in page.find_element("css selector", ".said").text
    words = page.find_elements("css selector", "#words button")
    assert [word.text for word in words] == ["Good", "evening.", "I", "have", "a", "story."]
    page.execute_script("arguments[0].click()", words[3])
    settled(page)
    until(
        page, "return document.querySelector('#words .spoken')?.textContent", "it is not marked", lambda w: w == "have"
    )


def test_the_waveform_is_a_scrubber(page: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(page).move_to_element(page.find_element("id", "wave")).click().perform()
    settled(page)
    assert page.execute_script("return faceorch.players.time") == pytest.approx(3.0, abs=0.05)


def test_keys_have_a_help(page: Any) -> None:
    press(page, "?")
    assert page.find_element("id", "help").is_displayed()
    assert len(page.find_elements("css selector", "#help tr")) > 10
    press(page, "\ue00c")
    assert not page.find_element("id", "help").is_displayed()
    press(page, "2")
    assert page.execute_script(SHOWN) == ["birch"]


def test_one_video_that_is_gone_leaves_the_others(browser: Any, five: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(five.path, tmp_path / "run")
    (tmp_path / "run" / "birch.mp4").unlink()
    open_page(browser, tmp_path / "run" / "report.html")
    browser.get_log("browser")  # the file that is missing is an error of the console's own
    assert browser.execute_script("return document.documentElement.dataset.videos") == "4 ready, 6.00 s"
    assert "cannot be played" in browser.find_element("css selector", "[data-name=birch]").text
    click(browser, "#play")
    until(browser, "return faceorch.players.time", "the others do not play", lambda t: t > 0.2)


def test_a_phone_has_everything_within_its_width(page: Any) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        for key in "awds":
            press(page, key)
            assert page.execute_script("return document.documentElement.scrollWidth") <= 390, key
        press(page, "a")
        tools = page.execute_script(
            "return [...document.querySelectorAll('.tools')].map(t => [t.children.length, t.offsetHeight, t.scrollWidth"
            " <= t.parentElement.clientWidth && [...t.children].every(one => one.offsetParent)])"
        )
        assert tools[0][1] < 40
        assert tools == [[5, tools[0][1], True]] * 5, "every video can change its place, and its buttons are one row"
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
