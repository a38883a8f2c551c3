"""The visible label: it is in the picture where it should be, and nowhere else; without it nothing changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from faceorch.record.request import Request
from faceorch_runner import Job, VideoWriter
from faceorch_runner.label import label_for
from faceorch_runner.video import conform
from tests.conftest import MakeNetwork, compare_here
from tests.unit.conftest import RequestFor


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def write(path: Path, clip: Path, *, label: bool, size: tuple[int, int] = (320, 240)) -> Path:
    with VideoWriter(path, clip, *size, 25, label=label) as video:
        for _ in range(5):
            video.write(bytes([90, 120, 150]) * (size[0] * size[1]))
    return path


def seen(path: Path, width: int, height: int) -> tuple[bool, bool]:
    """Return whether the label can be read in every frame, and whether the rest is as it was."""
    label = label_for(width, height)
    box = np.s_[label.top : label.top + label.height, label.left : label.left + label.width]
    wanted = np.frombuffer(b"".join(label.rows), np.uint8).reshape(label.height, label.width, 3)
    right = rest = True
    for frame in frames(path):
        right &= bool(((frame[box].mean(axis=2) > 128) == (wanted.mean(axis=2) > 128)).mean() > 0.98)
        outside = np.ones(frame.shape[:2], bool)
        outside[max(0, label.top - 16) :, max(0, label.left - 16) :] = False  # the blocks of the encoder
        rest &= bool(np.abs(frame[outside].astype(int) - [90, 120, 150]).max() <= 4)
    return right, rest


@pytest.mark.parametrize("size", [(320, 240), (512, 512), (1024, 768)])
def test_it_is_in_every_frame_and_nowhere_else(clip: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    assert seen(write(tmp_path / "a.mp4", clip, label=True, size=size), *size) == (True, True)
    assert seen(write(tmp_path / "b.mp4", clip, label=False, size=size), *size) == (False, True)


def test_a_video_that_other_code_has_made_gets_it_too(clip: Path, tmp_path: Path) -> None:
    made = write(tmp_path / "a.mp4", clip, label=False)
    conform(made, clip, tmp_path / "labelled.mp4", label=True)
    assert seen(tmp_path / "labelled.mp4", 320, 240) == (True, True)


def test_frames_that_are_too_small_are_refused(clip: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", clip, label=True, size=(64, 48))
    with pytest.raises(ValueError, match="frames of 16x10 have no room for a label"):
        write(tmp_path / "a.mp4", clip, label=True, size=(16, 10))


def test_a_job_says_so_only_when_it_is_asked_for() -> None:
    job: dict[str, Any] = {
        "id": "a",
        "portrait": Path("p"),
        "audio": Path("a"),
        "seed": 0,
        "settings": {},
        "work": Path("w"),
    }
    assert "label" not in Job(**job).to_json()
    assert Job(**job, label=True).to_json()["label"] is True
    assert "--label" in Request(portrait="p", clip="c", label=True).to_words()


def test_the_record_and_the_report_say_so(make_network: MakeNetwork, request_for: RequestFor) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey", label=True))
    video = folder.run.job("grey").video
    assert video is not None
    assert "a visible label (AI) in its lower right corner" in video.marks
    assert "a visible label (AI)" in (folder.path / "report.html").read_text("utf-8")
