"""Run folders that are damaged, or somebody else's: one clear line, no hang, nothing read from elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch.record.folder import RunFolder
from tests.conftest import LIMIT_S, MakeNetwork, compare_here
from tests.unit.conftest import RequestFor

Damage = Callable[[Path], object]


def changed(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        record = json.loads((folder / "run.json").read_text("utf-8"))
        record["jobs"][0].update(changes)
        (folder / "run.json").write_text(json.dumps(record), "utf-8")

    return change


def instead(name: str, make: Callable[[Path], object]) -> Damage:
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return replace


def cut(name: str, left: int) -> Damage:
    return lambda folder: os.truncate(folder / name, left)


BY_RECORD = {
    "no video": changed(video=None),
    "a name that leads elsewhere": changed(network="../../x"),
    "a record that is a folder": instead("run.json", Path.mkdir),
    "a record that is a pipe": instead("run.json", os.mkfifo),
    "a record that is a device": instead("run.json", lambda path: path.symlink_to("/dev/zero")),
    "a record that is half": cut("run.json", 700),
    "a record that is deep": instead("run.json", lambda path: path.write_text("[" * 100_000)),
    "a record that is large": lambda folder: os.truncate(folder / "run.json", 2**40),
    "no record": instead("run.json", lambda path: None),
}
BY_INPUT = {
    "no clip": instead("inputs/clip.wav", lambda path: None),
    "a cut clip": cut("inputs/clip.wav", 20),
    "a clip that ends early": cut("inputs/clip.wav", 2000),
    "a clip that is a pipe": instead("inputs/clip.wav", os.mkfifo),
    "a clip that is a folder": instead("inputs/clip.wav", Path.mkdir),
    "a portrait that is a device": instead("inputs/portrait.png", lambda path: path.symlink_to("/dev/zero")),
}


@pytest.fixture
def finished(make_network: MakeNetwork, request_for: RequestFor) -> RunFolder:
    make_network("grey")
    return compare_here(request_for("grey"))


def faceorch(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "faceorch", *words], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


@pytest.mark.parametrize("name", [*BY_RECORD, *BY_INPUT])
def test_resuming_it_is_one_clear_line(finished: RunFolder, name: str) -> None:
    (BY_RECORD | BY_INPUT)[name](finished.path)
    done = faceorch("run", "--resume", str(finished.path))
    assert (done.returncode, done.stderr.count("\n"), done.stderr.startswith("error: ")) == (7, 2, True), done.stderr


@pytest.mark.parametrize("name", list(BY_RECORD))
def test_reporting_it_is_one_clear_line(finished: RunFolder, name: str) -> None:
    BY_RECORD[name](finished.path)
    done = faceorch("report", str(finished.path))
    assert (done.returncode, done.stderr.count("\n"), done.stderr.startswith("error: ")) == (7, 2, True), done.stderr


@pytest.mark.parametrize("name", list(BY_INPUT))
def test_a_report_is_written_with_what_is_there(finished: RunFolder, name: str) -> None:
    BY_INPUT[name](finished.path)
    done = faceorch("report", str(finished.path))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "link"])
def test_a_video_that_is_none_is_made_again(finished: RunFolder, tmp_path: Path, kind: str) -> None:
    video = finished.path / "grey.mp4"
    kept = tmp_path / "kept.mp4"
    video.rename(kept)
    make: dict[str, Callable[[], object]] = {
        "folder": video.mkdir,
        "pipe": lambda: os.mkfifo(video),
        "device": lambda: video.symlink_to("/dev/zero"),
        "link": lambda: video.symlink_to(kept),
    }
    make[kind]()
    assert faceorch("report", str(finished.path)).returncode == 0
    done = faceorch("run", "--resume", str(finished.path))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert video.is_file()
    assert not video.is_symlink()
    assert kept.is_file()
