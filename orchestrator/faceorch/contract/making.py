"""Checks of what a network makes, in an environment of this host: nothing but the CPU, stand-ins for its weights."""

from __future__ import annotations

import contextlib
import os
import random
import wave
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from faceorch.comparison import compare
from faceorch.contract.broken import Broken, need
from faceorch.errors import InputError
from faceorch.files import scratch
from faceorch.media.claim import ENV_WANTED
from faceorch.media.video import BrokenVideo, VideoInfo, probe_video
from faceorch.networks.discover import Network
from faceorch.paths import assets_folder
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus
from faceorch.record.request import Request, StandIn
from faceorch.weights.manifest import load_weights

_SPEECH_S, _SILENCE_S = 2.0, 1.0
_LIMIT_S = 1800.0  # only against hanging
_WALL = 256  # pixels a side


def why_not_here(network: Network) -> str:
    """Return why nothing of a network can be made in an environment of this host; nothing when it can."""
    needs = network.manifest.needs
    if network.manifest.role == "judge":
        return "it judges videos, and makes none: faceorch judge --self-check"
    if "venv" not in needs.runtimes:
        return f"it runs only in a container: faceorch build {network.name}, then faceorch smoke {network.name}"
    if needs.gpu:
        return f"it needs a GPU: faceorch smoke {network.name}"
    return ""


class Maker:
    """Makes videos with one network; a context manager, whose folder is gone afterwards."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._ends = contextlib.ExitStack()
        self._folder = self._ends.enter_context(scratch("faceorch-contract-"))
        self.checks: dict[str, Callable[[], str]] = {
            "it makes a video with the clip's sound that any browser plays": self.plays,
            "the same seed gives the same bytes": self.repeats,
            "another seed gives other bytes": self.varies,
            "a portrait without a face is refused": self.refuses,
        }

    def __enter__(self) -> Maker:
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def plays(self) -> str:
        """Check the video of the bundled portrait, frame by frame."""
        folder, info = self._first
        found = (info.codec, info.pixel_format, info.audio_codec)
        need(
            found == ("h264", "yuv420p", "aac"),
            f"the video is {' '.join(map(str, found))}, h264 yuv420p aac needed",
            "write its frames through job.video()",
        )
        wanted = round(self._seconds * info.fps)
        need(
            info.frames == wanted,
            f"{info.frames} frames at {info.fps:g} per second for a clip of {self._seconds:g} s, {wanted} needed",
            "write one frame for every 1/fps seconds of the clip",
        )
        events = folder.path / self._network.name / "events.jsonl"
        need(
            '"progress"' in events.read_text("utf-8"),
            "the runner does not say how far it is",
            "call progress.update(done, total) after each frame",
        )
        return ""

    def repeats(self) -> str:
        """Check that a second video with the same seed is the same file."""
        need(
            self._first[1].sha256 == self._make("again", seed=3)[1].sha256,
            "two videos with --seed 3 differ",
            "take whatever is random from job.seed, and nothing from time, threads or the order of a set",
        )
        return ""

    def varies(self) -> str:
        """Check that another seed is heard."""
        need(
            self._first[1].sha256 != self._make("other", seed=4)[1].sha256,
            "videos with --seed 3 and --seed 4 are the same",
            "let something that may vary, such as blinks or head motion, depend on job.seed",
        )
        return ""

    def refuses(self) -> str:
        """Check that noise is refused as a portrait, before anything is left behind."""
        if not self._network.manifest.needs.face:
            return "network.yaml says that it does not look for a face (needs.face)"
        try:
            self._run(self._wall, "wall", seed=3)
        except InputError as error:
            need("face" in error.message, f"the refusal is {error.message!r}, no word of a face", "raise NoFace")
            return ""
        raise Broken(
            "a picture of noise was animated, NoFace needed",
            "raise NoFace in check(), or say `face: false` under needs in network.yaml",
        )

    @cached_property
    def _first(self) -> tuple[RunFolder, VideoInfo]:
        return self._make("first", seed=3)

    def _make(self, out: str, *, seed: int) -> tuple[RunFolder, VideoInfo]:
        folder = self._run(assets_folder() / "face.png", out, seed=seed)
        (job,) = folder.run.jobs
        if job.status is not JobStatus.DONE or job.video is None:
            text, remedy = ("no video", "") if job.reason is None else (job.reason.text, job.reason.remedy)
            log = folder.path / self._network.name / "log.txt"
            lines = log.read_text("utf-8", "replace").split("\n") if log.is_file() else []
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            raise Broken(f"{text}; the log ends with: {last}" if last else text, remedy or "see its log")
        try:
            return folder, probe_video(folder.video(self._network.name))
        except BrokenVideo as broken:
            raise Broken(str(broken), "write its frames through job.video()") from broken

    def _run(self, portrait: Path, out: str, *, seed: int) -> RunFolder:
        name = self._network.name
        request = Request(
            portrait=os.fspath(portrait),
            clip=os.fspath(self._clip),
            networks=(name,),
            runtime="venv",
            gpus="none",
            seed=seed,
            timeout_s=_LIMIT_S,
            stand_in=None if load_weights(self._network) is None else StandIn(size="tiny", device="cpu"),
            judge=False,
        )
        with _unsigned():
            return compare(request, self._folder / out, lambda _: None, networks={name: self._network})

    @property
    def _seconds(self) -> float:
        return max(_SPEECH_S, self._network.manifest.needs.shortest_clip_s) + _SILENCE_S

    @cached_property
    def _clip(self) -> Path:
        """The beginning of the bundled clip, followed by silence."""
        path = self._folder / "clip.wav"
        with (
            wave.open(os.fspath(assets_folder() / "clip.wav"), "rb") as whole,
            wave.open(os.fspath(path), "wb") as part,
        ):
            count, rate = round(self._seconds * whole.getframerate()), whole.getframerate()
            speech = whole.readframes(count - round(_SILENCE_S * rate))
            part.setparams(whole.getparams())
            part.writeframes(speech.ljust(count * whole.getsampwidth() * whole.getnchannels(), b"\0"))
        return path

    @cached_property
    def _wall(self) -> Path:
        from PIL import Image

        path = self._folder / "wall.png"
        Image.frombytes("RGB", (_WALL, _WALL), random.Random(0).randbytes(_WALL * _WALL * 3)).save(path)
        return path


@contextlib.contextmanager
def _unsigned() -> Iterator[None]:
    """Let no video be signed: a claim says when it was signed, and these videos are compared byte for byte."""
    before = os.environ.get(ENV_WANTED)
    os.environ[ENV_WANTED] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[ENV_WANTED]
        else:
            os.environ[ENV_WANTED] = before
