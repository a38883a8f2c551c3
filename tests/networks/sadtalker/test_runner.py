"""The runner with stand-ins for the networks: models once, frames in order to one encode, jobs refused early."""

from __future__ import annotations

import os
import sys
import threading
import uuid
import wave
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from faceorch.media.video import probe_video
from faceorch.networks.discover import load_networks
from faceorch.paths import docker_folder
from faceorch_runner import BadInput, Job, MissingWeight, Network, Progress, VideoWriter
from faceorch_runner.events import EventParser, EventStream
from faceorch_runner.network import load_network
from tests.networks.conftest import load_code

DEFAULTS = load_networks([docker_folder()])["sadtalker"].settings({})
SIDE = 64  # stands in for the renderer's 512


class Loaded:
    """What the stand-ins were asked for."""

    def __init__(self) -> None:
        self.models: list[tuple[str, Any]] = []
        self.opened: list[tuple[str, bool]] = []  # devices whose libraries are opened ahead, and whether for tuned jobs
        self.drawn: list[tuple[Any, ...]] = []
        self.held, self.most_held = 0, 0
        self.faces = 1  # that are found in a portrait
        self.lock = threading.Lock()
        self.threads: dict[str, set[int]] = {"draw": set(), "sharpen": set()}

    def hold(self, more: int) -> None:
        """Count the pictures that are drawn and not yet written."""
        with self.lock:
            self.held += more
            self.most_held = max(self.most_held, self.held)


def stand_ins(seen: Loaded, missing: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return the modules that need torch, as names and what they hold."""

    class WeightsFolder:
        def __init__(self, folder: Path | None) -> None:
            pass

        def require(self, *names: str) -> None:
            if lost := [name for name in names if name in missing]:
                raise MissingWeight(f"missing from the weights folder: {', '.join(lost)}")

    def network(name: str, **methods: Callable[..., Any]) -> type:
        def init(self: Any, *arguments: Any) -> None:
            seen.models.append((name, arguments))
            for key in ("width", "faces"):
                setattr(self, key, 73)

        return type(name, (), {"__init__": init, **methods})

    def read(self: Any, name: str, portrait: Any, *, whole: bool, shrunk: float) -> Any:
        height, width = portrait.shape[:2]
        box = (0, 0, width, height) if whole else (8, 8, width - 8, height - 8)
        points = np.linspace((16, 16), (width - 16, height - 16), 68, dtype=np.float32)
        return load_code("sadtalker", "subject").Subject(
            np.zeros((SIDE, SIDE, 3), np.uint8), box, np.arange(73, dtype=np.float32), points, width / 2, seen.faces
        )

    def coefficients(self: Any, columns: Any, count: int, source: Any, **how: Any) -> Any:
        seen.drawn.append(("motion", count, how))
        return np.zeros((count, 70), np.float32)

    def draw(self: Any, square: Any, source: Any, rows: Any, batch: int, clock: Any, *, tuned: bool) -> Iterator[Any]:
        seen.drawn.append(("render", rows.shape, batch, rows[0, 70:].tolist(), tuned))
        for index in range(len(rows)):
            seen.hold(1)
            seen.threads["draw"].add(threading.get_ident())
            picture = np.full((SIDE, SIDE, 3), 20, np.uint8)
            picture[16:48, 16:48] = 40 + 4 * (index % 20)  # blending keeps differences within a face
            yield picture

    def sharpen(self: Any, frames: Any, batch: int, seed: int, clock: Any, *, tuned: bool) -> Iterator[Any]:
        seen.drawn.append(("sharpen", batch, seed, tuned))
        for index, frame in enumerate(frames):
            seen.threads["sharpen"].add(threading.get_ident())
            yield load_code("sadtalker", "blend").Sharpened(index, frame)

    names = ("DETECTOR", "LANDMARKS", "PARSER", "RESTORER", "MAPPING_FULL", "MAPPING_CROP")
    return {
        "files": {
            **{name: name.lower() for name in names},
            "WeightsFolder": WeightsFolder,
            "main_file": lambda size: f"main-{size}",
        },
        "detect": {"FaceDetector": network("detector")},
        "face": {"FaceReader": network("reader", read=read)},
        "hear": {"listen": lambda path: (np.zeros((9, 80), np.float32), frames_of(path))},
        "motion": {"Motion": network("motion", coefficients=coefficients)},
        "render": {"Renderer": network("renderer", draw=draw)},
        "enhance": {"Enhancer": network("enhancer", sharpen=sharpen)},
    }


def frames_of(path: Path) -> int:
    with wave.open(str(path)) as clip:
        return int(clip.getnframes() * 25 // clip.getframerate())


Make = Callable[..., Network]


@pytest.fixture
def seen() -> Loaded:
    return Loaded()


@pytest.fixture
def package() -> str:
    """Return a name of its own for the package: what one test puts into it, no other sees."""
    return f"sadtalker-{uuid.uuid4().hex}"


@pytest.fixture
def network(package: str, seen: Loaded, monkeypatch: pytest.MonkeyPatch) -> Make:
    def make(*missing: str) -> Network:
        for name, content in stand_ins(seen, missing).items():
            module = ModuleType(name)
            vars(module).update(content)
            monkeypatch.setitem(sys.modules, f"faceorch_networks.{package}.{name}", module)
        libraries = ModuleType("libraries")
        vars(libraries)["open_libraries"] = lambda device, *, tuned: seen.opened.append((device, tuned))
        monkeypatch.setitem(sys.modules, "faceorch_kit.libraries", libraries)
        return load_network(docker_folder() / "sadtalker" / "code", package)

    return make


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(name: str, *, seconds: float = 1.0, shape: tuple[int, int] = (80, 96), **settings: Any) -> Job:
        portrait, audio, work = tmp_path / "portrait.png", tmp_path / f"{name}.wav", tmp_path / name
        cv2.imwrite(str(portrait), np.full((*shape, 3), 120, np.uint8))
        with wave.open(str(audio), "wb") as clip:
            clip.setnchannels(1)
            clip.setsampwidth(2)
            clip.setframerate(8000)
            clip.writeframes(bytes(round(seconds * 8000) * 2))
        work.mkdir()
        return Job(name, portrait, audio, 7, {**DEFAULTS, **settings}, work)

    return make


def animate(network: Network, job: Job) -> tuple[Path, list[dict[str, Any]]]:
    read, write = os.pipe()
    video = network.animate(job, Progress(EventStream(write), job.id))
    os.close(write)
    with open(read, "rb") as pipe:
        events = list(EventParser().feed(pipe.read()))
    return video, [event.to_json() for event in events if not isinstance(event, str)]


def test_frames_go_through_paste_and_encode_in_order(network: Make, job: Callable[..., Job], seen: Loaded) -> None:
    made, asked = network(), job("one", seconds=2.0)
    made.check(asked)
    made.setup(Path("weights"), "cpu")
    video, events = animate(made, asked)
    found = probe_video(video)
    assert (found.width, found.height, found.frames, found.fps) == (192, 160, 50, 25.0)
    levels = [frame[80, 96].mean() for frame in decoded(video)]
    assert all(later > earlier for earlier, later in pairwise(levels[:20]))
    assert [e["name"] for e in events if e["event"] == "stage"] == ["landmarks", "audio", "frames"]
    assert [(e["picture"], e["name"], e["left"], e["width"]) for e in events if e["event"] == "box"] == [
        (picture, *box)
        for picture in ("portrait", "video")
        for box in (("face", 0.1667, 0.6667), ("eyes", 0.5249, 0.1095), ("mouth", 0.6443, 0.1891))
    ]
    assert [(e["done"], e["total"]) for e in events if e["event"] == "progress"] == [(n, 50) for n in range(1, 51)]
    assert sorted(seen.drawn) == [
        ("motion", 50, {"seed": 7, "still": True, "pose_style": 0, "expression": 1.0}),
        ("render", (50, 73), 1, [70.0, 71.0, 72.0], False),
        ("sharpen", 1, 7, False),
    ]


def decoded(video: Path) -> Iterator[Any]:
    import av

    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def test_models_are_loaded_once_for_all_jobs_of_one_kind(network: Make, job: Callable[..., Job], seen: Loaded) -> None:
    made, jobs = network(), [job("one"), job("two")]
    for asked in jobs:
        made.check(asked)
    made.setup(Path("weights"), "cpu")
    loaded = [name for name, _ in seen.models]
    given = dict(seen.models)
    assert given["reader"][1] is given["enhancer"][1], "both find faces with one detector"
    assert sorted(loaded) == ["detector", "enhancer", "motion", "reader", "renderer"]
    assert seen.opened == [("cpu", False)]
    for asked in jobs:
        animate(made, asked)
    assert [name for name, _ in seen.models] == loaded


def test_another_kind_of_job_loads_what_it_needs_and_says_so(
    network: Make, job: Callable[..., Job], seen: Loaded
) -> None:
    made, first, other = network(), job("one"), job("two", preprocess="crop", enhancer=False)
    made.check(first)
    made.setup(Path("weights"), "cpu")
    _, events = animate(made, other)
    assert next(e["name"] for e in events if e["event"] == "stage") == "load"
    assert sorted(name for name, _ in seen.models[-3:]) == ["motion", "reader", "renderer"]


def test_a_tuned_job_is_drawn_and_sharpened_so(network: Make, job: Callable[..., Job], seen: Loaded) -> None:
    made, asked = network(), job("one", seconds=0.2, speed="tuned")
    made.jobs = (asked,)
    made.check(asked)
    made.setup(None, "cpu")
    assert seen.opened == [("cpu", True)], "its kernels are compiled while weights are read"
    animate(made, asked)
    assert {entry[0]: entry[-1] for entry in seen.drawn if entry[0] != "motion"} == {"render": True, "sharpen": True}


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"enhancer": False}, (96, 80)),
        ({"enhancer": False, "preprocess": "crop", "size": "256"}, (SIDE, 50)),
        ({"preprocess": "resize", "size": "256"}, (2 * SIDE, 104)),
    ],
    ids=["full", "crop", "resize-enhanced"],
)
def test_the_size_of_the_video_follows_the_settings(
    network: Make, job: Callable[..., Job], settings: dict[str, Any], size: tuple[int, int]
) -> None:
    made, asked = network(), job("one", seconds=0.2, **settings)
    made.check(asked)
    made.setup(None, "cpu")
    found = probe_video(animate(made, asked)[0])
    assert (found.width, found.height, found.frames) == (*size, 5)


def test_frames_are_not_collected(
    network: Make, package: str, job: Callable[..., Job], seen: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the clip, no more frames exist than the cores and the encoder work on."""
    made, asked = network(), job("one", seconds=12.0)
    made.check(asked)
    made.setup(None, "cpu")
    runner = sys.modules[f"faceorch_networks.{package}.runner"]
    write = VideoWriter.write

    def counting(self: Any, frame: Any) -> None:
        write(self, frame)
        seen.hold(-1)

    monkeypatch.setattr(VideoWriter, "write", counting)
    animate(made, asked)
    assert seen.held == 0
    assert seen.most_held <= 3 * runner._AHEAD + runner._ENCODER_AHEAD + 3


def test_drawing_goes_on_while_faces_are_sharpened(network: Make, job: Callable[..., Job], seen: Loaded) -> None:
    made, asked = network(), job("one")
    made.check(asked)
    made.setup(None, "cpu")
    animate(made, asked)
    assert seen.threads["sharpen"] == {threading.get_ident()}
    assert len(seen.threads["draw"]) == 1
    assert seen.threads["draw"] != seen.threads["sharpen"]


def test_a_clip_shorter_than_a_frame_is_refused(network: Make, job: Callable[..., Job]) -> None:
    with pytest.raises(BadInput, match=r"^one\.wav is 0\.030 s long, 0\.04 s or more needed$"):
        network().check(job("one", seconds=0.03))


@pytest.mark.parametrize(
    ("missing", "settings"),
    [("main-512", {}), ("main-256", {"size": "256"}), ("mapping_crop", {"preprocess": "crop"}), ("restorer", {})],
)
def test_missing_weights_are_named_before_anything_is_loaded(
    network: Make, job: Callable[..., Job], seen: Loaded, missing: str, settings: dict[str, Any]
) -> None:
    made = network(missing)
    made.check(job("one", **settings))
    with pytest.raises(MissingWeight, match=rf"^missing from the weights folder: {missing}$"):
        made.setup(None, "cpu")
    assert seen.models == []


def test_weights_that_no_job_needs_may_be_missing(network: Make, job: Callable[..., Job]) -> None:
    made, asked = network("restorer", "parser", "main-256", "mapping_crop"), job("one", enhancer=False)
    made.check(asked)
    made.setup(None, "cpu")
    assert probe_video(animate(made, asked)[0]).frames == 25


def test_an_encoder_that_fails_ends_the_job(
    network: Make, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = network(), job("one")
    made.check(asked)
    made.setup(None, "cpu")

    def broken(self: Any, frame: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(VideoWriter, "write", broken)
    with pytest.raises(OSError, match="No space left on device"):
        animate(made, asked)


def notes(events: list[dict[str, Any]]) -> list[str]:
    return [e["message"] for e in events if e["event"] == "note"]


def test_a_portrait_that_is_scaled_down_is_a_note(network: Make, job: Callable[..., Job]) -> None:
    made = network()
    for name, shape, said in (
        ("large", (200, 240), ["portrait.png is 240x200 and was scaled down to 160x132 (max_size)"]),
        ("odd", (81, 97), []),
    ):
        asked = job(name, seconds=0.2, shape=shape, max_size=160, enhancer=False)
        made.check(asked)
        made.setup(None, "cpu")
        assert notes(animate(made, asked)[1]) == said


def test_a_small_face_is_a_note_and_a_tiny_one_is_refused(network: Make, job: Callable[..., Job]) -> None:
    subject = load_code("sadtalker", "subject")
    made, asked = network(), job("one", seconds=0.2, shape=(60, 60), enhancer=False)
    made.check(asked)
    made.setup(None, "cpu")
    assert notes(animate(made, asked)[1]) == ["the face is 30 px wide: below 32 it is drawn from very little"]
    subject.refuse_small("a.png", 16.0, 1.0)
    with pytest.raises(BadInput, match=r"^face is 15 px wide in a\.png, 16 px or more needed: crop closer to it$"):
        subject.refuse_small("a.png", 15.0, 1.0)
    with pytest.raises(BadInput, match=r"^face is 15 px wide at the size of the video \(60 px in a\.png\), 16 px or"):
        subject.refuse_small("a.png", 15.0, 4.0)


def test_of_several_faces_it_is_said_which_one_is_used(network: Make, job: Callable[..., Job], seen: Loaded) -> None:
    seen.faces = 2
    made, asked = network(), job("one", seconds=0.2, enhancer=False)
    made.check(asked)
    made.setup(None, "cpu")
    said = "2 faces found in the portrait; the largest, in the middle, is used"
    assert notes(animate(made, asked)[1]) == [said]
