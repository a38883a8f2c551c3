"""The judge in its own environment: its check of itself, a video of the baseline, and odd or damaged videos."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from faceorch.record.folder import RunFolder
from faceorch.record.judgement import Verdict
from faceorch.record.run import Run
from tests.networks.conftest import ASSETS, Animate

NAME = "judge"
LONG_S = 9.0
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture
def judging(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEORCH_JUDGE")


def clip_of(seconds: float, target: Path) -> Path:
    """Write the first seconds of the demo's clip."""
    return encoded(["-i", str(ASSETS / "clip.wav"), "-t", str(seconds)], target)


def encoded(arguments: list[str], target: Path) -> Path:
    subprocess.run([FFMPEG, "-loglevel", "error", "-y", *arguments, str(target)], check=True)
    return target


def faceorch(*arguments: str | Path) -> str:
    """Return what the command line prints on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "faceorch", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_judge_finds_what_it_has_drawn(judging: None) -> None:
    said = faceorch("judge", "--self-check")
    for line in ("a still face: 0.", "two blinks: ", "a mouth that moves: ", "all of it: 7."):
        assert line in said


def test_a_run_of_the_baseline_is_judged(judging: None, animate: Animate, tmp_path: Path) -> None:
    out = tmp_path / os.fsdecode(b"not UTF-8: \xff")  # a name that native code may crash on
    folder: RunFolder = animate("baseline", ASSETS / "face.png", clip_of(LONG_S, tmp_path / "clip.wav"), out=out)
    run: Run = folder.run
    assert run.judging is not None
    assert run.judging.reason is None
    judgement = run.job("baseline").judgement
    assert judgement is not None
    assert judgement.coverage == 1.0
    findings = judgement.findings
    verdicts = {name: findings[name].verdict for name in ("head_motion", "mouth", "hair_motion", "flicker")}
    assert verdicts == {
        "head_motion": Verdict.YES,
        "mouth": Verdict.YES,
        "hair_motion": Verdict.YES,
        "flicker": Verdict.NO,
    }
    assert findings["blinks"].details["count_both"] == findings["blinks"].details["count"]
    known = not judgement.judge.fallbacks  # whether this machine has the model for it
    assert findings["identity"].verdict is (Verdict.YES if known else Verdict.NOT_MEASURABLE)
    assert judgement.series is not None
    assert (folder.path / judgement.series).read_bytes()[:4] == b"PAR1"
    mouth, eyes = judgement.boxes["mouth"], judgement.boxes["eyes"]
    assert eyes.top < mouth.top
    assert set(judgement.traces) == {"yaw", "closure", "mouth", "voice"}


def still(target: Path, *, of: Path = ASSETS / "face.png", more: tuple[str, ...] = ()) -> Path:
    """Write a film of a picture that does not move."""
    size = ["-vf", "scale=320:320", "-pix_fmt", "yuv420p", "-t", str(LONG_S), "-r", "25"]
    return encoded(["-loop", "1", "-i", str(of), "-i", str(ASSETS / "clip.wav"), *size, *more], target)


def test_odd_videos_get_verdicts_that_say_so(judging: None, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    encoded(["-f", "lavfi", "-i", "color=gray:s=320x320", "-frames:v", "1"], grey)
    frozen = still(tmp_path / "frozen.mp4")
    films: dict[str, Path] = {
        "frozen": frozen,
        "silent": encoded(["-i", str(frozen), "-an", "-c", "copy"], tmp_path / "silent.mp4"),
        "nobody": still(tmp_path / "nobody.mp4", of=grey),
        "short": encoded(["-i", str(frozen), "-t", "1"], tmp_path / "short.mp4"),
    }
    damaged = films["damaged"] = tmp_path / "damaged.mp4"
    shutil.copy(frozen, damaged)
    with damaged.open("r+b") as file:
        file.seek(damaged.stat().st_size // 2)
        file.write(bytes(3000))
    asked: list[str | Path] = ["judge", "--portrait", ASSETS / "face.png", "--audio", ASSETS / "clip.wav", "--json"]
    told: Any = json.loads(faceorch(*asked, *films.values()))
    found = {Path(one["video"]).stem: one["judgement"] for one in told}
    for name in ("frozen", "silent"):
        verdicts = {key: value["verdict"] for key, value in found[name]["findings"].items()}
        assert (verdicts["head_motion"], verdicts["mouth"], verdicts["blinks"]) == ("no", "no", "unclear")
        assert verdicts["lip_sync"] == "no"
        assert verdicts["sharpness"] == "unclear", "of a picture that stands still no quality is judged"
    assert any("no sound" in note for note in found["silent"]["notes"])
    assert {value["verdict"] for value in found["nobody"]["findings"].values()} == {"not_measurable"}
    assert found["short"]["findings"]["blinks"]["verdict"] == "not_measurable"
    assert found["damaged"]["frames"] > 0


ROLL_DEG = 4.0
_ROLLS = f"rotate={ROLL_DEG}*PI/180*sin(2*PI*t/3):fillcolor=gray"
_PLAIN = "scale=320:320,format=yuv420p"
# How the same rolling head is filmed: filters of FFmpeg and frames per second.
FILMED = {
    "25": (f"{_PLAIN},{_ROLLS}", "25"),
    "24": (f"{_PLAIN},{_ROLLS}", "24"),
    "29.97": (f"{_PLAIN},{_ROLLS}", "30000/1001"),
    "uneven": (f"{_PLAIN},{_ROLLS},select='not(eq(mod(n,7),3)+eq(mod(n,11),5))'", "25"),
    "2048 px": (f"scale=2048:2048,format=yuv420p,{_ROLLS}", "12"),
    "two faces": (f"{_PLAIN},{_ROLLS},split[a][b];[b]scale=240:240,pad=320:320[c];[a][c]hstack", "25"),
    "cut": (
        f"{_PLAIN},{_ROLLS},split[a][b];[b]crop=240:240:0:40,scale=320:320,hflip,trim=0:2,setpts=PTS-STARTPTS[c];"
        "[a]trim=0:4,setpts=PTS-STARTPTS[d];[d][c]concat",
        "25",
    ),
}


def filmed(name: str, folder: Path) -> Path:
    filters, rate = FILMED[name]
    inputs = ["-loop", "1", "-r", rate, "-i", str(ASSETS / "face.png"), "-i", str(ASSETS / "clip.wav")]
    how = ["-filter_complex", filters, "-t", "6", "-fps_mode", "vfr", "-preset", "ultrafast"]
    return encoded([*inputs, *how], folder / f"{name}.mp4")


def test_a_head_turns_as_far_however_it_is_filmed(judging: None, tmp_path: Path) -> None:
    music = ["-f", "lavfi", "-i", "sine=f=440:d=9,tremolo=f=4", "-ar", "16000"]
    clip = encoded(music, tmp_path / "music.wav")
    films = [filmed(name, tmp_path) for name in FILMED]
    told: Any = json.loads(faceorch("judge", "--portrait", ASSETS / "face.png", "--audio", clip, "--json", *films))
    found = {Path(one["video"]).stem: one["judgement"] for one in told}
    for name, judgement in found.items():
        head = judgement["findings"]["head_motion"]
        assert abs(head["value"] - 2 * ROLL_DEG * 0.988) < 0.5, (name, head)  # P95 - P5 of a sine
        assert judgement["findings"]["lip_sync"]["verdict"] != "yes", "it is music, and no mouth moves"
    assert any("2 faces are in the video" in note for note in found["two faces"]["notes"])
    assert any("the video is cut" in note for note in found["cut"]["notes"])


def test_of_ten_minutes_two_are_judged(judging: None, tmp_path: Path) -> None:
    face = ["-loop", "1", "-r", "5", "-i", str(ASSETS / "face.png"), "-i", str(ASSETS / "clip.wav")]
    long = encoded([*face, "-vf", "scale=160:160,format=yuv420p", "-t", "600"], tmp_path / "long.mp4")
    asked: list[str | Path] = ["--portrait", ASSETS / "face.png", "--audio", ASSETS / "clip.wav", "--json"]
    (one,) = json.loads(faceorch("judge", *asked, long))
    assert "only its first 120 s were judged" in one["judgement"]["notes"]
