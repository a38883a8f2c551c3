"""How soon a report opens, how well its videos keep in step, and how long it takes to be made.

    python benchmarks/page.py RUN

Opens RUN/report.html from the disk in headless Chromium (no GPU: videos are decoded by the CPU), five times; then plays
it for eight seconds and looks at the videos at every picture that the browser draws.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium import webdriver

_OPENED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
_READY = "return document.documentElement.dataset.videos"
_DRIFTS = """
    const [done, seconds] = [arguments[arguments.length - 1], arguments[0]];
    const seen = [];
    const look = () => {
        if (faceorch.players.time > 1) seen.push(faceorch.players.drift);
        if (faceorch.players.time > seconds + 1) done(seen);
        else requestAnimationFrame(look);
    };
    document.querySelector('#play').click();
    look();
"""
_FRAMES = """
    return faceorch.players.items.map(item => {
        const {totalVideoFrames, droppedVideoFrames} = item.video.getVideoPlaybackQuality();
        return [item.name, totalVideoFrames, droppedVideoFrames];
    });
"""


def main(run: Path) -> None:
    """Print every figure."""
    print(f"load of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for what in ("with its grid", "without"):
        if what == "with its grid":
            (run / "grid.mp4").unlink(missing_ok=True)
        begun_s = time.monotonic()
        subprocess.run([sys.executable, "-m", "faceorch", "report", os.fspath(run)], check=True, capture_output=True)
        print(f"made, {what}: {time.monotonic() - begun_s:.1f} s")
    with tempfile.TemporaryDirectory() as profile:
        browser = start(profile)
        try:
            look(browser, (run / "report.html").absolute().as_uri())
        finally:
            browser.quit()


def start(profile: str) -> Any:
    """Return a browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1440,1000"):
        options.add_argument(argument)
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.add_argument(f"--user-data-dir={profile}")
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def look(browser: Any, page: str) -> None:
    """Open the page, play it, and print what was seen."""
    for _ in range(5):
        browser.get("about:blank")
        begun_s = time.monotonic()
        browser.get(page)
        while not browser.execute_script(_READY):
            time.sleep(0.01)
        ready_s = time.monotonic() - begun_s
        print(f"opened after {browser.execute_script(_OPENED) / 1000:.2f} s, videos ready after {ready_s:.2f} s")
    drifts = sorted(browser.execute_async_script(_DRIFTS, 8))
    middle, most = drifts[len(drifts) // 2], drifts[int(len(drifts) * 0.95)]
    print(f"apart, of {len(drifts)} pictures: {1000 * middle:.1f} ms in the middle, 95 % below {1000 * most:.1f} ms")
    for name, shown, dropped in browser.execute_script(_FRAMES):
        print(f"{name}: {shown} frames, {dropped} of them too late")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
