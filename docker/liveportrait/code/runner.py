"""LivePortrait + JoyVASA: motion from a clip by diffusion, painted by LivePortrait's warping network and decoder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from faceorch_kit import portrait, voice
from faceorch_kit.blinks import blinks, closures
from faceorch_kit.faces import FaceFinder, Found, find_largest
from faceorch_kit.portrait import Image
from faceorch_runner import BadInput, Job, Network, Progress
from faceorch_runner.video import MORE_THREADS, THREADS

from . import audio
from .face import landmarks
from .keypoints import Array, drive

if TYPE_CHECKING:
    from .crop import Crop, Cropper, InsightfaceCropper
    from .models import Models
    from .render import Look, Paste, Renderer

_SHUT_ALREADY = 0.18  # upstream's measure of an eye that is as good as closed


class LivePortrait(Network):
    """Loads every model once; a job's memory does not grow with the length of its clip."""

    checks_apart = True

    def __init__(self) -> None:
        self._finder: FaceFinder | None = None
        self._faces: dict[tuple[Path, int], tuple[Found, bool]] = {}
        self._weights = Path()
        self._insightface: InsightfaceCropper | None = None
        self._models: Models
        self._cropper: Cropper

    def check(self, job: Job) -> tuple[Found, bool] | None:
        """Return where the face is, and whether in the portrait's original size, which finds small ones.

        Refuses a portrait whose face is absent, too small or turned away, before anything is loaded. The insightface
        detectors are weights themselves: with them, the face is looked for first of all in `animate`.
        """
        original, image = _images(job)
        if job.settings["speed"] == "tuned" and job.settings["precision"] == "fp32":
            raise BadInput("speed=tuned computes in half precision: leave precision at fp16")
        if job.settings["detector"] != "mediapipe":
            return None
        key = (job.portrait, int(job.settings["max_size"]))
        if key not in self._faces:
            if self._finder is None:
                self._finder = FaceFinder()
            found, picture = find_largest(self._finder, job.portrait.name, original, image)
            self._faces[key] = (found, picture is not image)
        return self._faces[key]

    def setup(self, weights: Path | None, device: str) -> None:
        """Load the models."""
        from .crop import Cropper
        from .models import load

        assert weights is not None
        self._weights = weights
        with ThreadPoolExecutor(1, "landmarks") as pool:
            cropper = pool.submit(Cropper, weights)
            self._models = load(weights, device, tuned=any(job.settings["speed"] == "tuned" for job in self.jobs))
            self._cropper = cropper.result()
        # Upstream's modules turn OpenCV's threads off when they are imported; the encoder needs cores too.
        cv2.setNumThreads(2)

    def animate(self, job: Job, progress: Progress) -> Path:
        """Find the face, make its motion, paint and write it."""
        from .crop import SIDE, shrink
        from .render import Renderer

        settings = job.settings
        renderer = Renderer(self._models, half=settings["precision"] == "fp16", tuned=settings["speed"] == "tuned")
        progress.stage("landmarks")
        original, image = _images(job)
        crop = self._crop(job, original, image, progress)
        everything = (0, 0, image.shape[1], image.shape[0])
        full = settings["output"] == "full"
        progress.boxes("portrait", crop.parts(), everything)
        progress.boxes("video", crop.parts(within=not full), everything if full else (0, 0, SIDE, SIDE))
        look = renderer.look(shrink(crop.picture, self._models.input_side))
        moved = self._keypoints(job, renderer, look, crop, progress)
        progress.stage("frames")
        paste = self._paste(image, crop) if full else None
        return self._write(job, renderer, look, moved, image, paste, progress)

    def _crop(self, job: Job, original: Image, image: Image, progress: Progress) -> Crop:
        """Return the face's square; cut out of the original when the face is small in the portrait."""
        from .crop import Framing, InsightfaceCropper

        framing = Framing(*(float(job.settings[key]) for key in ("crop_scale", "crop_x", "crop_y")))
        if job.settings["detector"] == "insightface":
            if self._insightface is None:
                self._insightface = InsightfaceCropper(self._weights)
            return self._insightface.crop(image, job.portrait.name, framing)
        found, small = job.found
        picture = original if small else image
        found.tell(progress, picture)
        crop = self._cropper.crop(picture, landmarks(found.mesh), framing)
        return crop.onto(image.shape[1] / original.shape[1]) if small else crop

    def _keypoints(self, job: Job, renderer: Renderer, look: Look, crop: Crop, progress: Progress) -> Array:
        """Return the keypoints (frames, 21, 3) of every frame of the clip."""
        from .generate import generate

        settings, models = job.settings, self._models
        progress.stage("audio")
        seconds = voice.duration_s(job.audio)
        frames = audio.frame_count(seconds, models.fps)
        heard = audio.windows(voice.read_at(job.audio, audio.RATE), frames, int(models.motion.n_motions), models.fps)
        progress.stage("motion")
        steps = int(settings["steps"])
        total = len(heard) * steps

        def on_step(done: int) -> None:
            if done % 10 == 0 or done == total:
                progress.update(done, total, "steps")

        generated = generate(
            models,
            heard,
            job.seed,
            steps=steps,
            eta=float(settings["eta"]),
            guidance=float(settings["guidance"]),
            on_step=on_step,
        )
        motion = models.template.motion(generated[: frames + audio.LEAD])
        motion = motion.smooth(float(settings["head_smoothing"]), float(settings["expression_smoothing"]))

        shut = self._closures(job, crop, seconds, frames, progress)
        moved = drive(
            look.portrait,
            motion,
            np.concatenate([np.zeros(audio.LEAD, np.float32), shut]),
            head_motion=float(settings["head_motion"]),
            expression=float(settings["expression"]),
            eye_motion=float(settings["eye_motion"]),
            region=str(settings["animation_region"]),
        )[audio.LEAD :]
        still = look.portrait.keypoints()
        if settings["stitching"]:
            moved = renderer.stitched(still, moved)
        if (multiplier := np.float32(settings["driving_multiplier"])) != 1.0:
            moved = still + multiplier * (moved - still)
        return np.asarray(moved + shut[:, None, None] * renderer.shut_eyes(still, crop.eyes_open()), np.float32)

    def _closures(self, job: Job, crop: Crop, seconds: float, frames: int, progress: Progress) -> Array:
        """Return how far the lids are shut in each frame; nowhere when the portrait's own eyes are closed."""
        found = blinks(seconds, float(job.settings["blinks_per_minute"]), job.seed)
        if found and min(crop.eyes_open()) < _SHUT_ALREADY:
            print(f"no blinks: the eyes of {job.portrait.name} are closed already")
            found = []
        progress.metric("blinks", len(found), "blinks")
        return closures(found, frames, self._models.fps)

    def _paste(self, image: Image, crop: Crop) -> Paste:
        from src.config import base_config

        from .render import Paste

        # Upstream's mask: white in the middle of the square, fading to black at its edges.
        path = Path(base_config.__file__).parents[1] / "utils/resources/mask_template.png"
        mask = cv2.imread(str(path), cv2.IMREAD_COLOR)
        return Paste(image, crop.back, np.asarray(mask, np.uint8), self._models.device)

    def _write(
        self,
        job: Job,
        renderer: Renderer,
        look: Look,
        moved: Array,
        image: Image,
        paste: Paste | None,
        progress: Progress,
    ) -> Path:
        from .crop import SIDE

        whole = image.copy()
        width, height = (SIDE, SIDE) if paste is None else (image.shape[1], image.shape[0])
        threads = MORE_THREADS if job.settings["speed"] == "tuned" else THREADS
        with job.video(width, height, self._models.fps, threads=threads) as video:

            def write(picture: Any) -> None:
                if paste is None:
                    video.write(picture)
                else:
                    whole[paste.rows, paste.columns] = picture
                    video.write(whole)
                if video.frames % 25 == 0 or video.frames == len(moved):
                    progress.update(video.frames, len(moved))

            renderer.render(look, moved, int(job.settings["batch"]), paste, write)
        return video.path


def _images(job: Job) -> tuple[Image, Image]:
    """Return the portrait as its file has it, and no larger than `max_size`."""
    original = portrait.read(job.portrait)
    return original, portrait.fit(original, int(job.settings["max_size"]))
