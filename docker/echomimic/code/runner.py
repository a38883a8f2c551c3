"""EchoMimic: latent diffusion in six steps, driven by what Whisper hears."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from faceorch_kit import portrait, voice
from faceorch_kit.portrait import Image
from faceorch_kit.stream import Clock, ordered
from faceorch_runner import BadInput, Job, Network, Progress

from .detect import FaceDetector
from .framing import Box, frame
from .windows import frame_count

if TYPE_CHECKING:
    import torch

    from .models import Models
    from .sample import Plan, Sampler

_MOST_SIDE = 2048  # of a portrait in which the face is looked for
_SIDE = 64  # the networks halve the picture six times
_LEAST_FRAMES = 2
_ENCODER_AHEAD = 4
_TUNED_WINDOWS = 2  # in one pass
OWN_SEED = -1


class EchoMimic(Network):
    """Loads every model once; a job's memory does not grow with the length of its clip, but for its latents."""

    checks_apart = True

    def __init__(self) -> None:
        self._detector: FaceDetector | None = None
        self._faces: dict[Path, tuple[Box, int]] = {}
        self._models: Models
        self._samplers: dict[bool, Sampler] = {}

    def check(self, job: Job) -> tuple[Box, int]:
        """Return where the face is, and of how many; refuse settings that do not fit together, and a portrait without
        a usable face, before weights are read."""
        settings = job.settings
        if int(settings["size"]) % _SIDE:
            raise BadInput(f"size is {settings['size']}, a multiple of {_SIDE} needed")
        if int(settings["overlap"]) >= int(settings["window"]):
            raise BadInput(f"overlap is {settings['overlap']}, less than window ({settings['window']}) needed")
        if _frames(job) < _LEAST_FRAMES:
            raise BadInput(f"{job.audio.name} is too short for {_LEAST_FRAMES} frames")
        image = _image(job)
        if job.portrait not in self._faces:
            if self._detector is None:
                self._detector = FaceDetector()
            self._faces[job.portrait] = self._detector.find(job.portrait.name, image)
        return self._faces[job.portrait]

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the models."""
        # Nothing may be fetched while a job runs; without this, missing files would be looked for in the network.
        os.environ.update(HF_HUB_OFFLINE="1")
        from .models import load

        assert weights is not None
        self._models = load(weights, device)
        # The encoder needs cores too.
        cv2.setNumThreads(2)

    def animate(self, job: Job, progress: Progress) -> Path:
        """Look, listen, denoise all windows in six steps, and decode frame by frame."""
        from .hear import Sound, listen
        from .sample import Plan, look

        settings, models = job.settings, self._models
        tuned = settings["speed"] == "tuned"
        plan = Plan(
            frames=_frames(job),
            steps=int(settings["steps"]),
            guidance=float(settings["guidance"]),
            size=int(settings["size"]),
            window=int(settings["window"]),
            overlap=int(settings["overlap"]),
            closed=not settings["open_end"],
            seed=job.seed if settings["seed"] == OWN_SEED else int(settings["seed"]),
            batch=_TUNED_WINDOWS if tuned else 1,
        )
        progress.stage("face")
        image = _image(job)
        face, faces = job.found
        if faces > 1:
            progress.note(portrait.which_face(faces, (face.left + face.right) / 2, image))
        square, mask, place = frame(image, face, plan.size, float(settings["crop"]), float(settings["mask"]))
        tell(progress, face, image, place)
        for name in ("left", "top", "width"):
            progress.metric(f"crop_{name}", getattr(place, name), "pixels")
        seen = look(models, square, mask)
        progress.stage("hear")
        heard = Sound.of(listen(models.hearing, job.audio, models.device), plan.frames, int(settings["fps"]))
        progress.stage("denoise")
        latents = self._sampler(tuned).sample(
            plan, seen, heard, lambda done, total: progress.update(done, total, "windows")
        )
        progress.stage("frames")
        return self._write(job, plan, latents, tuned, progress)

    def _write(self, job: Job, plan: Plan, latents: torch.Tensor, tuned: bool, progress: Progress) -> Path:
        from .decode import Decoder, TunedDecoder
        from .paint import paint

        clock = Clock()
        pictures = paint((TunedDecoder if tuned else Decoder)(self._models.vae), latents)
        with (
            ThreadPoolExecutor(1, "encoder") as encoder,
            job.video(plan.size, plan.size, int(job.settings["fps"])) as video,
        ):
            written: Iterator[Any] = ordered(encoder, video.write, pictures, _ENCODER_AHEAD, clock, "encoder_wait_s")
            for done, _ in enumerate(written, 1):
                progress.update(done, plan.frames)
        progress.metric("encoder_wait_s", round(clock.seconds["encoder_wait_s"], 3), "s")
        return video.path

    def _sampler(self, tuned: bool) -> Sampler:
        """Return what samples; one at a time, for each has the network's weights in a layout of its own."""
        from .sample import Sampler

        if tuned not in self._samplers:
            self._samplers = {tuned: Sampler(self._models, tuned=tuned)}
        return self._samplers[tuned]


def tell(progress: Progress, face: Box, image: Image, place: Box) -> None:
    """Report where the face is in the portrait, and in the video, which shows the square `place` of it."""
    corners = ((face.left, face.top), (face.right, face.bottom))
    progress.boxes("portrait", {"face": corners}, (0, 0, image.shape[1], image.shape[0]))
    progress.boxes("video", {"face": corners}, (place.left, place.top, place.right, place.bottom))


def _image(job: Job) -> Image:
    return portrait.fit(portrait.read(job.portrait), _MOST_SIDE)


def _frames(job: Job) -> int:
    return frame_count(voice.duration_s(job.audio), int(job.settings["fps"]))
