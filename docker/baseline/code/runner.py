"""The baseline network: a portrait's face mesh, moved by curves that are computed from the clip."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from faceorch_runner import BadInput, Job, Network, NoFace, Progress

from .face import Face, FaceFinder
from .motion import frame_count, move
from .pixels import Image
from .render import Renderer
from .shapes import lip_gap
from .voice import listen, read_wav

_LEAST_WIDTH = 64  # pixels of a face; below, lips are thinner than two pixels
_LEAST_SIDE = 32
_MOST_DEGREES = 45.0
_GRIN = 0.18  # interocular distances between the lips of a broad smile


class Baseline(Network):
    """Animates a portrait with no weights but the face mesh that ships inside mediapipe."""

    def __init__(self) -> None:
        self._finder: FaceFinder | None = None
        self._found: dict[tuple[Path, int], tuple[Image, Face]] = {}

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the face models."""
        # The encoder needs cores too. Frames do not depend on the number of threads.
        cv2.setNumThreads(2)
        self._models()

    def check(self, job: Job) -> None:
        """Refuse a portrait whose face is absent, too small or turned away."""
        self._portrait(job)

    def animate(self, job: Job, progress: Progress) -> Path:
        """Write one frame after the other; memory does not grow with the clip."""
        progress.stage("landmarks")
        image, face = self._portrait(job)
        progress.metric("face_width", round(face.width, 1), "pixels")
        progress.stage("audio")
        samples, rate = read_wav(job.audio)
        fps = float(job.settings["fps"])
        count = frame_count(len(samples), rate, fps)
        motion = move(
            listen(samples, rate),
            count,
            fps,
            job.seed,
            expression=float(job.settings["expression"]),
            head_motion=float(job.settings["head_motion"]),
            blinks_per_minute=float(job.settings["blinks_per_minute"]),
            grin=min(1.0, lip_gap(face) / _GRIN),
        )
        progress.stage("frames")
        renderer = Renderer(image, face)
        with job.video(image.shape[1], image.shape[0], fps) as video:
            for index in range(count):
                video.write(renderer.draw(motion, index))
                if index % 10 == 9 or index + 1 == count:
                    progress.update(index + 1, count)
        return video.path

    def _models(self) -> FaceFinder:
        if self._finder is None:
            self._finder = FaceFinder()
        return self._finder

    def _portrait(self, job: Job) -> tuple[Image, Face]:
        """Return the picture at the video's size and its face; found once for each portrait and size."""
        key = (job.portrait, int(job.settings["max_size"]))
        if key not in self._found:
            image = fit(_read(job.portrait), key[1])
            face = self._models().find(image)
            refuse(job.portrait.name, image, face)
            assert face is not None
            self._found[key] = (image, face)
        return self._found[key]


def refuse(name: str, image: Image, face: Face | None) -> None:
    """Raise what is wrong with the face of a portrait, if anything is."""
    height, width = image.shape[:2]
    if face is None:
        raise NoFace(f"no face found in {name} ({width}x{height}): one face seen from the front needed")
    if face.width < _LEAST_WIDTH:
        raise NoFace(f"face is {face.width:.0f} px wide in {name}, {_LEAST_WIDTH} px or more needed: crop closer to it")
    for what, found in (("turned aside", face.turn_degrees), ("tilted", face.tilt_degrees)):
        if found > _MOST_DEGREES:
            raise NoFace(f"face is {what} by {found:.0f} degrees in {name}, {_MOST_DEGREES:.0f} or less needed")


def fit(image: Image, max_size: int) -> Image:
    """Return a picture (height, width, 3) with no side above `max_size` and even sides."""
    height, width = image.shape[:2]
    scale = max_size / max(height, width)
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height - height % 2, : width - width % 2])


def _read(path: Path) -> Image:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise BadInput(f"{path.name} cannot be read as a picture")
    if min(image.shape[:2]) < _LEAST_SIDE:
        found = f"{image.shape[1]}x{image.shape[0]}"
        raise BadInput(f"{path.name} is {found}, {_LEAST_SIDE} px or more a side needed")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
