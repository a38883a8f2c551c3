"""The baseline network: a portrait's face mesh, moved by curves that are computed from the clip."""

from __future__ import annotations

from pathlib import Path

import cv2

from faceorch_kit import portrait, voice
from faceorch_kit.faces import FaceFinder, Found, find_face
from faceorch_runner import Job, Network, Progress

from .face import Face
from .motion import frame_count, move
from .pixels import Image
from .render import Renderer
from .shapes import MOST_GAP, lip_gap
from .voice import listen

_GRIN = 0.18  # interocular distances between the lips of a broad smile


class Baseline(Network):
    """Animates a portrait with no weights but the face mesh that ships inside mediapipe."""

    def __init__(self) -> None:
        self._finder: FaceFinder | None = None
        self._found: dict[tuple[Path, int], tuple[Image, Found]] = {}

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
        image, found = self._portrait(job)
        found.tell(progress, image)
        progress.boxes("video", found.parts, (0, 0, image.shape[1], image.shape[0]))
        face = Face.of(found.mesh)
        if lip_gap(face) > MOST_GAP:
            progress.note("the portrait's mouth is wide open, and does not close in pauses: use one with closed lips")
        progress.stage("audio")
        samples, rate = voice.read(job.audio)
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

    def _portrait(self, job: Job) -> tuple[Image, Found]:
        """Return the picture at the video's size, and its face; looked for only once."""
        key = (job.portrait, int(job.settings["max_size"]))
        if key not in self._found:
            original = portrait.read(job.portrait)
            image = portrait.fit(original, key[1])
            self._found[key] = (image, find_face(self._models(), job.portrait.name, original, image))
        return self._found[key]
