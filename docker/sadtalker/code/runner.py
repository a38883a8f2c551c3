"""SadTalker: face coefficients from speech, a keypoint-driven renderer, and GFPGAN for the face.

Upstream's networks do the work; what drives them is ours: models once, frames in memory, one encode.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from faceorch_kit import portrait as portraits
from faceorch_kit import voice
from faceorch_kit.portrait import Image
from faceorch_kit.stream import Clock, cores, ordered
from faceorch_runner import BadInput, Job, Network, Progress, RunnerError
from faceorch_runner.video import MORE_THREADS, THREADS

from .blend import PasteBack
from .files import DETECTOR, LANDMARKS, MAPPING_CROP, MAPPING_FULL, PARSER, RESTORER, WeightsFolder, main_file
from .frames import FPS
from .paste import Composer, IntoPortrait, OnItsOwn
from .subject import Subject, remarks

if TYPE_CHECKING:
    from .detect import FaceDetector
    from .enhance import Enhancer
    from .face import FaceReader
    from .motion import Motion
    from .render import Renderer

# How many frames may be in work between two steps: enough for every core, few enough for a large host's memory.
_AHEAD = min(2 * cores(), 32)
_ENCODER_AHEAD = 4


@dataclass(frozen=True)
class Choice:
    """What decides which networks are loaded."""

    size: int
    full: bool

    @classmethod
    def of(cls, job: Job) -> Choice:
        """Return what one job needs."""
        return cls(int(job.settings["size"]), job.settings["preprocess"] == "full")

    @property
    def files(self) -> tuple[str, ...]:
        """The files that hold them."""
        return DETECTOR, LANDMARKS, main_file(self.size), MAPPING_FULL if self.full else MAPPING_CROP


@dataclass(frozen=True, eq=False)
class _Models:
    """The networks of one choice."""

    choice: Choice
    reader: FaceReader
    motion: Motion
    renderer: Renderer


class SadTalker(Network):
    """Animates a portrait with SadTalker."""

    def __init__(self) -> None:
        self._weights: WeightsFolder | None = None
        self._device = "cpu"
        self._detector: FaceDetector | None = None
        self._models: _Models | None = None
        self._enhancer: Enhancer | None = None
        self._wanted: dict[Choice, bool] = {}

    def check(self, job: Job) -> None:
        """Refuse a portrait that is not a picture and a clip that is shorter than a frame."""
        _fit(portraits.read(job.portrait), job)
        seconds = voice.duration_s(job.audio)
        if seconds * FPS < 1:
            raise BadInput(f"{job.audio.name} is {seconds:.3f} s long, {1 / FPS:g} s or more needed")
        choice = Choice.of(job)
        self._wanted[choice] = self._wanted.get(choice, False) or bool(job.settings["enhancer"])

    def setup(self, weights: Path | None, device: str) -> None:
        """Load what the first job needs, after making sure that every checked job's files are there."""
        # Frames are spread over the cores, one each: threads within a frame would only get in their way.
        cv2.setNumThreads(1)
        self._weights, self._device = WeightsFolder(weights), device
        for choice, enhancer in self._wanted.items():
            self._weights.require(*choice.files, *((PARSER, RESTORER) if enhancer else ()))
        for choice, enhancer in list(self._wanted.items())[:1]:
            self._loaded(choice, enhance=enhancer)

    def animate(self, job: Job, progress: Progress) -> Path:
        """Render, paste, sharpen and encode a stream of frames; memory does not grow with the clip."""
        from .hear import listen

        choice = Choice.of(job)
        tuned = job.settings["speed"] == "tuned"
        if self._models is None or self._models.choice != choice:
            progress.stage("load")
        models = self._loaded(choice, enhance=bool(job.settings["enhancer"]))
        enhancer = self._enhancer if job.settings["enhancer"] else None
        progress.stage("landmarks")
        original = portraits.read(job.portrait)
        portrait = _fit(original, job)
        whole = job.settings["preprocess"] == "resize"
        shrunk = original.shape[1] / portrait.shape[1] if max(original.shape) > max(portrait.shape) + 1 else 1.0
        subject = models.reader.read(job.portrait.name, portrait, whole=whole, shrunk=shrunk)
        progress.metric("face_width", round(subject.face_width, 1), "pixels")
        everything = (0, 0, portrait.shape[1], portrait.shape[0])
        progress.boxes("portrait", subject.parts, everything)
        progress.boxes("video", subject.parts, everything if choice.full else subject.box)
        for said in remarks(job.portrait.name, original, portrait, subject):
            progress.note(said)
        progress.stage("audio")
        columns, count = listen(job.audio)
        rows = models.motion.coefficients(
            columns,
            count,
            subject.coefficients,
            seed=job.seed,
            still=bool(job.settings["still"]),
            pose_style=int(job.settings["pose_style"]),
            expression=float(job.settings["expression_scale"]),
        )
        # A whole portrait's renderer also wants where the face lies, which stays as it is.
        where = subject.coefficients[rows.shape[1] : models.renderer.width]
        rows = np.hstack([rows, np.tile(where, (count, 1))])
        progress.stage("frames")
        clock = Clock()
        pictures = models.renderer.draw(
            subject.square, subject.coefficients, rows, int(job.settings["batch_size"]), clock, tuned=tuned
        )
        composer = compose(portrait, subject, choice.full)
        with ExitStack() as stack:
            drawing = stack.enter_context(ThreadPoolExecutor(1, "renderer"))
            pool = stack.enter_context(ThreadPoolExecutor(cores(), "frames"))
            encoder = stack.enter_context(ThreadPoolExecutor(1, "encoder"))
            # Drawn in a thread of its own: each of the two networks has gaps that the other one fills.
            drawn = ordered(drawing, lambda _: next(pictures), range(count), _AHEAD, clock, "render_wait_s")
            size, frames = finish(drawn, composer, enhancer, pool, job, clock)
            video = stack.enter_context(job.video(*size, FPS, threads=MORE_THREADS if tuned else THREADS))
            written = ordered(encoder, video.write, frames, _ENCODER_AHEAD, clock, "encoder_wait_s")
            for done, _ in enumerate(written, 1):
                progress.update(done, count)
        for name, seconds in clock.seconds.items():
            progress.metric(name, round(seconds, 3), "s")
        if enhancer is not None:
            progress.metric("faces_per_frame", round(enhancer.faces / count, 2), "faces")
        return video.path

    def _loaded(self, choice: Choice, *, enhance: bool) -> _Models:
        """Return the networks of a choice; the enhancer is there too then, if a job is to `enhance` faces.

        What has to be loaded for that is loaded side by side: one file is read while another one's network is built.
        """
        from faceorch_kit.libraries import open_libraries

        weights, device = self._folder(), self._device
        with ThreadPoolExecutor(4, "weights") as pool:
            other = self._models is None or self._models.choice != choice
            if other:
                self._models = None  # let go of the old ones first: two sets may not fit
                tuned = any(job.settings["speed"] == "tuned" for job in self.jobs)
                opening = pool.submit(open_libraries, device, tuned=tuned)
                from .motion import Motion
                from .render import Renderer

                renderer = pool.submit(Renderer, weights, choice.size, choice.full, device)
                motion = pool.submit(Motion, weights, choice.size, device)
            if self._detector is None:
                from .detect import FaceDetector

                self._detector = FaceDetector(weights, device)
            if enhance and self._enhancer is None:
                from .enhance import Enhancer

                enhancer = pool.submit(Enhancer, weights, self._detector, device)
            if other:
                from .face import FaceReader

                reader = FaceReader(weights, self._detector, choice.size, device)
                self._models = _Models(choice, reader, motion.result(), renderer.result())
                opening.result()
            if enhance and self._enhancer is None:
                self._enhancer = enhancer.result()
        assert self._models is not None
        return self._models

    def _folder(self) -> WeightsFolder:
        if self._weights is None:
            raise RunnerError("setup comes before animate")
        return self._weights


def _fit(portrait: Image, job: Job) -> Image:
    return portraits.fit(portrait, int(job.settings["max_size"]))


def compose(portrait: Image, subject: Subject, full: bool) -> Composer:
    """Return what makes frames of the rendered squares."""
    if full:
        return IntoPortrait(portrait, subject.box)
    left, top, right, bottom = subject.box
    return OnItsOwn(right - left, bottom - top, len(subject.square))


def finish(
    pictures: Iterator[Image], composer: Composer, enhancer: Enhancer | None, pool: Executor, job: Job, clock: Clock
) -> tuple[tuple[int, int], Iterator[Image]]:
    """Return the size of the video and its frames, made from the rendered squares as they are drawn."""
    frames = ordered(pool, composer, pictures, _AHEAD, clock, "paste_wait_s")
    if enhancer is None:
        return composer.size, frames
    paste = PasteBack(composer)
    tuned = job.settings["speed"] == "tuned"
    sharpened = enhancer.sharpen(frames, int(job.settings["batch_size"]), job.seed, clock, tuned=tuned)
    return paste.size, ordered(pool, paste, sharpened, _AHEAD, clock, "paste_back_wait_s")
