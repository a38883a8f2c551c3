"""The page in Firefox: it plays there too, in step, zoomed and compared, and says nothing to the console.

Firefox is spoken to directly (WebDriver BiDi, https://w3c.github.io/webdriver-bidi), so that no driver is needed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from tests.browser.conftest import LOCAL
from tests.conftest import LIMIT_S, wait_until
from tests.made_up import RATES

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
PREFERENCES = {"media.autoplay.default": 0, "media.autoplay.blocking_policy": 0, "app.update.enabled": False}


class Firefox:
    """One page of a headless Firefox; `said` is what it told the console, `asked` the addresses that it requested."""

    def __init__(self, profile: Path) -> None:
        import websocket

        lines = (f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in PREFERENCES.items())
        (profile / "user.js").write_text("".join(lines), "utf-8")
        command = [str(FIREFOX), "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
        nothing = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing)
        place = profile / "WebDriverBiDiServer.json"
        wait_until(lambda: place.is_file() and place.read_text("utf-8").endswith("}"), "Firefox says where it listens")
        port = json.loads(place.read_text("utf-8"))["ws_port"]
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/session", suppress_origin=True, timeout=LIMIT_S
        )
        self._sent = 0
        self.said: list[str] = []
        self.asked: list[str] = []
        self._do("session.new", capabilities={})
        self._page = self._do("browsingContext.getTree")["contexts"][0]["context"]
        self._do("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def end(self) -> None:
        """End it."""
        self._socket.close()
        self._process.terminate()
        self._process.wait(LIMIT_S)

    def _do(self, method: str, **parameters: Any) -> Any:
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == self._sent:
                assert message["type"] == "success", message
                return message["result"]
            if message.get("method") == "log.entryAdded":
                self.said.append(message["params"]["text"])
            elif message.get("method") == "network.beforeRequestSent":
                self.asked.append(message["params"]["request"]["url"])

    def open(self, address: str) -> None:
        """Open a page and wait until it is loaded."""
        self._do("browsingContext.navigate", context=self._page, url=address, wait="complete")

    def run(self, script: str) -> Any:
        """Return what the body of a function returns."""
        expression = f"JSON.stringify((() => {{ {script} }})() ?? null)"
        target = {"context": self._page}
        found = self._do(
            "script.evaluate", expression=expression, target=target, awaitPromise=False, userActivation=True
        )
        assert found["type"] == "success", found
        return json.loads(found["result"]["value"])

    def until(self, condition: str) -> None:
        """Wait until an expression is true."""
        wait_until(lambda: bool(self.run(f"return {condition}")), condition)


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    if FIREFOX is None:
        pytest.skip("needs firefox (apt install firefox-esr)")
    browser = Firefox(tmp_path_factory.mktemp("firefox"))
    try:
        if not browser.run("return document.createElement('video').canPlayType('video/mp4; codecs=avc1.64001f')"):
            pytest.skip("this Firefox cannot decode H.264 (apt install libavcodec59, or a later one)")
        yield browser
    finally:
        browser.end()


def test_firefox_plays_zooms_and_compares(firefox: Firefox, five: RunFolder) -> None:
    firefox.open((five.path / "report.html").as_uri() + "#t=3.2&zoom=mouth&ab=cedar,alder")
    firefox.until("document.documentElement.dataset.videos")
    firefox.until("faceorch.compare.mode === 'wipe'")
    assert firefox.run("return [faceorch.zoom.region, faceorch.compare.a, faceorch.compare.b]") == [
        *("mouth", "cedar", "alder")
    ]
    firefox.run("document.querySelector('[data-mode-button=all]').click()")
    scale = "new DOMMatrix(getComputedStyle(video).transform).a"
    scales = firefox.run(f"return [...document.querySelectorAll('.frame > video')].map(video => {scale})")
    assert scales == pytest.approx([1 / 0.3] * 5, abs=0.01)
    firefox.run("document.querySelector('#loop').click(); document.querySelector('#play').click()")
    for _ in range(3):
        firefox.until(f"faceorch.players.playing && faceorch.players.drift < {1 / max(RATES[:4])}")
    firefox.until("faceorch.players.items.every(item => !item.video.paused && item.video.currentTime > 0)")
    firefox.run("document.querySelector('#forth').click()")
    firefox.until("faceorch.players.items.every(item => !item.video.seeking)")
    times = firefox.run("return faceorch.players.items.map(item => item.video.currentTime)")
    assert max(times) - min(times) < 0.002
    firefox.run("document.querySelector('#start-vote').click()")
    firefox.until("faceorch.vote.running")
    assert firefox.said == []
    assert [url for url in firefox.asked if not url.startswith(LOCAL)] == []
