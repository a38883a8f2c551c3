"""Hallo: latent diffusion that paints sixteen frames at a time, each clip going on from the one before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceorch_kit.faces import FaceFinder, Found, find_face
from faceorch_kit.portrait import read
from faceorch_runner import BadInput, Job, Network, Progress

from .face import square

if TYPE_CHECKING:
    from .clips import Animator, Look
    from .hear import Hearing
    from .portrait import Eyes

_LEAST_SIDE = 64  # the networks halve the picture six times


class Hallo(Network):
    """Loads every model once; a job's memory does not grow with the length of its clip."""

    checks_apart = True

    def __init__(self) -> None:
        self._finder: FaceFinder | None = None
        self._faces: dict[Path, Found] = {}
        self._animator: Animator
        self._eyes: Eyes
        self._hearing: Hearing

    def check(self, job: Job) -> Found:
        """Return where the face is; refuse a portrait without a usable one before anything is loaded."""
        size = int(job.settings["size"])
        if size % _LEAST_SIDE:
            raise BadInput(f"size is {size}, a multiple of {_LEAST_SIDE} needed")
        image = read(job.portrait)
        if job.portrait not in self._faces:
            if self._finder is None:
                self._finder = FaceFinder()
            self._faces[job.portrait] = find_face(self._finder, job.portrait.name, image)
        return self._faces[job.portrait]

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the models."""
        # Nothing may be fetched while a job runs; without these, missing files would be looked for in the network.
        os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
        from .clips import Animator
        from .hear import Hearing
        from .models import load
        from .portrait import Eyes

        assert weights is not None
        self._animator = Animator(load(weights, device))
        self._hearing = Hearing(weights, device)
        self._eyes = Eyes(weights)

    def animate(self, job: Job, progress: Progress) -> Path:
        """Look, listen, and paint clip after clip."""
        from .hear import frame_count

        settings = job.settings
        progress.stage("face")
        look = self._look(job, progress)
        voice = job.audio
        if settings["vocal_separation"]:
            progress.stage("separate")
            voice = self._hearing.voice(job.audio, job.work)
            if voice == job.audio:
                print(f"no voice to be separated in {job.audio.name}: heard as it is")
        progress.stage("hear")
        heard = self._hearing.hear(voice)
        progress.stage("frames")
        self._animator.prepare(
            look,
            steps=int(settings["steps"]),
            guidance=float(settings["guidance"]),
            seed=job.seed,
            weights=[float(settings[f"{part}_weight"]) for part in ("pose", "face", "lip")],
            speed=str(settings["speed"]),
        )
        return self._write(job, look, heard, frame_count(job.audio), progress)

    def _write(self, job: Job, look: Look, heard: Any, frames: int, progress: Progress) -> Path:
        from .models import FPS

        size = int(job.settings["size"])
        with job.video(size, size, FPS) as video:
            for picture in self._animator.animate(
                look, heard, frames, lambda done, of: progress.update(done, of, "steps")
            ):
                video.write(picture)
        return video.path

    def _look(self, job: Job, progress: Progress) -> Look:
        settings, image = job.settings, read(job.portrait)
        found: Found = job.found
        found.tell(progress, image)
        rows, columns = slice(0, image.shape[0]), slice(0, image.shape[1])
        if settings["crop"]:
            rows, columns = square(image.shape, found.mesh[:, :2])
            image = np.ascontiguousarray(image[rows, columns])
        progress.boxes("video", found.parts, (columns.start, rows.start, columns.stop, rows.stop))
        return self._eyes.look(
            job.portrait.name, image, job.work, int(settings["size"]), float(settings["face_expand_ratio"])
        )
