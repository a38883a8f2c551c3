"""Smoke runs: stand-in weights made in the network's own environment, the whole path, and everything marked."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceorch.comparison import resume
from faceorch.errors import CannotRun, RunFolderError
from faceorch.media.video import BrokenVideo, probe_video
from faceorch.networks.discover import Network
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.record.request import StandIn
from faceorch.record.run import Job, Run
from faceorch.smoke import check_video, smoke
from tests.conftest import LIMIT_S, MakeNetwork, reason_of, write_code
from tests.unit.conftest import Listener
from tests.unit.weights.test_manifest import entry

STANDIN = """
def make(weights, *, full):
    (weights / "a").mkdir()
    (weights / "a/b.bin").write_bytes(bytes(1000 if full else 10))
"""
RUNNER = """
import wave
from faceorch_runner import MissingWeight, Network

class Sized(Network):
    def setup(self, weights, device):
        if not (weights / "a/b.bin").is_file():
            raise MissingWeight("a/b.bin is missing")
        self.size = (weights / "a/b.bin").stat().st_size

    def animate(self, job, progress):
        with wave.open(str(job.audio)) as clip:
            frames = round(clip.getnframes() / clip.getframerate() * 25) LOST
        progress.metric("weight_bytes", self.size, "bytes")
        with job.video(64, 64, 25) as video:
            for index in range(frames):
                video.write(bytes([index * 5 % 256]) * (64 * 64 * 3))
        return video.path
"""


@pytest.fixture
def sized(make_network: MakeNetwork) -> Callable[..., Network]:
    def make(*, standin: str = STANDIN, lost: str = "", **needs: object) -> Network:
        network = make_network("sized", RUNNER.replace("LOST", lost), **needs)
        (network.folder / "weights.yaml").write_text(json.dumps({"schema": 1, "files": [entry()]}), "utf-8")
        write_code(network.code, synthetic=standin)
        return network

    return make


@pytest.fixture
def run_smoke(tmp_path: Path) -> Callable[..., RunFolder]:
    def run(*names: str, **changes: Any) -> RunFolder:
        stand_in: dict[str, Any] = {"size": "tiny", "device": "cpu", "seconds": 1.0}
        stand_in |= {name: changes.pop(name) for name in list(changes) if name in stand_in}
        options: dict[str, Any] = {
            "networks": names,
            "runtime": "venv",
            "timeout_s": LIMIT_S,
            "pythons": dict.fromkeys(names, sys.executable),
            **changes,
        }
        return smoke(StandIn(**stand_in), tmp_path / "results", Listener(), **options)

    return run


def test_stand_in_weights_carry_a_network_through_and_everything_is_marked(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]
) -> None:
    import av

    sized(gpu=True)  # on the CPU, as asked
    folder = run_smoke("sized")
    job = folder.run.job("sized")
    assert (job.status, job.reason) == (JobStatus.DONE, None)
    # AAC's first and last packet carry more than the clip; how much of that is told depends on the decoder's version.
    expected = r"checked: all 25 frames decode, 25 per second, 64x64, 1\.0\d s of aac audio; marked synthetic"
    assert re.fullmatch(expected, job.notes[-1])
    assert job.metrics["weight_bytes"].value == 10
    assert job.times.synthetic_s is not None
    assert json.loads((folder.path / "run.json").read_text("utf-8"))["request"]["stand_in"]["size"] == "tiny"
    with av.open(str(folder.path / "sized.mp4")) as video:
        assert video.metadata["title"] == "Synthetic: made by faceorch smoke"
        assert video.metadata["comment"] == (
            "Stand-in weights: this shows that the code runs, not what the network can do."
        )
    assert "<strong>Synthetic.</strong> Made by <code>faceorch smoke</code>" in _read(folder, "report.html")
    assert "**Synthetic.** Made by `faceorch smoke`" in _read(folder, "report.md")
    for name in ("report.html", "report.md"):
        assert _read(folder, name).count(job.notes[-1]) == 1, f"{name} tells what was checked, and once"
    assert not (folder.path / "sized" / "weights").exists(), "stand-in weights do not stay"


def test_full_means_true_dimensions_default_settings_and_the_whole_clip(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]
) -> None:
    manifest = sized().folder / "network.yaml"
    manifest.write_text(manifest.read_text("utf-8") + "smoke: {settings: {size: 32}}\n", "utf-8")
    tiny, full = run_smoke("sized", seconds=None), run_smoke("sized", seconds=None, size="full")
    assert [f.run.job("sized").settings["size"] for f in (tiny, full)] == [32, 64]
    assert [f.run.job("sized").metrics["weight_bytes"].value for f in (tiny, full)] == [10, 1000]
    assert [f.run.inputs.clip.duration_s for f in (tiny, full)] == [2.0, 15.0]
    assert full.run.synthetic


def test_a_network_without_weights_is_run_as_it_is(
    make_network: MakeNetwork, run_smoke: Callable[..., RunFolder]
) -> None:
    make_network(
        "sized", RUNNER.replace("LOST", "").replace("setup", "_setup").replace("(Network):", "(Network):\n    size = 0")
    )
    assert run_smoke("sized").run.job("sized").status is JobStatus.DONE


def test_stand_ins_that_cannot_be_made_are_a_failure_that_says_why(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]
) -> None:
    sized(standin="def make(weights, *, full):\n    raise ValueError('no such class upstream')\n")
    job = run_smoke("sized").run.job("sized")
    assert (job.status, reason_of(job).kind, reason_of(job).text) == (
        JobStatus.FAILED,
        OutcomeKind.CRASH,
        "ValueError: no such class upstream",
    )


def test_stand_ins_that_do_not_fit_are_a_failure(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]
) -> None:
    sized(standin="def make(weights, *, full):\n    (weights / 'wrong').touch()\n")
    job = run_smoke("sized").run.job("sized")
    assert (reason_of(job).kind, reason_of(job).text) == (OutcomeKind.MISSING_WEIGHT, "a/b.bin is missing")


def test_a_video_that_lost_its_tail_fails_the_check(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]
) -> None:
    sized(lost="- 10")
    job = run_smoke("sized").run.job("sized")
    assert (job.status, reason_of(job).kind) == (JobStatus.FAILED, OutcomeKind.BROKEN_VIDEO)
    assert reason_of(job).text == "its video cannot be used: 15 frames at 25 per second for a clip of 1.00 s"


def test_weights_without_stand_ins_are_named(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]
) -> None:
    missing = sized().code / "synthetic.py"
    missing.unlink()
    with pytest.raises(CannotRun) as caught:
        run_smoke("sized")
    assert caught.value.message == f"sized cannot run here: it has no stand-in weights: {missing} missing"


def test_a_gpu_that_is_not_there_is_never_replaced_by_the_cpu(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    from faceorch import smoke as module
    from faceorch.telemetry.nvml import Gpus

    sized(gpu=True)
    monkeypatch.setattr(module, "read_gpus", lambda: Gpus((), None, "no NVIDIA driver is installed"))
    with pytest.raises(CannotRun) as caught:
        run_smoke("sized", device="cuda")
    assert caught.value.message == "--device cuda needs an NVIDIA GPU: no NVIDIA driver is installed"
    assert caught.value.remedy == "--device cpu"


def test_a_smoke_run_is_not_resumed(sized: Callable[..., Network], run_smoke: Callable[..., RunFolder]) -> None:
    sized()
    folder = run_smoke("sized")
    with pytest.raises(RunFolderError) as caught:
        resume(folder.path, Listener())
    assert caught.value.message == f"{folder.path} was made by faceorch smoke, which is not resumed"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"frames": 24}, "25 of 24 frames can be decoded"),
        ({"fps": 30.0}, "25 frames at 30 per second for a clip of 1.00 s"),
        ({"width": 32}, "32x64 pixels, 64 or more a side needed"),
        ({"codec": "mpeg4"}, "mpeg4 yuv420p, h264 yuv420p needed"),
        ({"audio_codec": None}, "no audio"),
    ],
)
def test_what_is_wrong_with_a_video_is_named(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder], changes: dict[str, Any], reason: str
) -> None:
    sized()
    folder = run_smoke("sized")
    path = folder.path / "sized.mp4"
    info = probe_video(path)._replace(**changes)
    with pytest.raises(BrokenVideo, match=reason):
        check_video(path, info, folder.run, folder.run.job("sized"))


def test_a_video_that_is_not_marked_or_silent_or_of_another_rate_is_refused(
    sized: Callable[..., Network], run_smoke: Callable[..., RunFolder], tmp_path: Path
) -> None:
    from faceorch_runner.video import VideoWriter
    from tests.conftest import write_tone

    sized()
    folder = run_smoke("sized")
    quiet = write_tone(tmp_path / "quiet.wav", seconds=1.0)
    quiet.write_bytes(quiet.read_bytes()[:44] + bytes(32000))
    job: Job = folder.run.job("sized")
    job.settings["fps"] = 30
    run: Run = folder.run
    with VideoWriter(tmp_path / "video.mp4", quiet, 64, 64, 25) as video:
        for _ in range(25):
            video.write(bytes(64 * 64 * 3))
    with pytest.raises(BrokenVideo) as caught:
        check_video(video.path, probe_video(video.path), run, job)
    assert str(caught.value) == (
        "25 frames per second, 30 needed; its audio is silent; the file is not marked as synthetic"
    )


def _read(folder: RunFolder, name: str) -> str:
    return (folder.path / name).read_text("utf-8")
