"""The whole path of every network with stand-in weights: does its real code run here, before anything is downloaded?"""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import Any

from faceorch.comparison import compare
from faceorch.errors import CannotRun
from faceorch.files import scratch
from faceorch.media.video import VIDEO_FORMAT, BrokenVideo, VideoInfo
from faceorch.networks.discover import load_networks
from faceorch.paths import assets_folder
from faceorch.record.folder import RunFolder
from faceorch.record.request import Request, StandIn
from faceorch.record.run import Job, Run
from faceorch.runs.events import Listener
from faceorch.telemetry.nvml import read_gpus
from faceorch_runner.video import SYNTHETIC_TITLE

# Networks count frames each in their own way (up or down, a window more); a wrong rate or a lost tail is far more.
_FRAMES_TOLERANCE = 3
_AUDIO_TOLERANCE_S = 0.25
_LEAST_SIDE = 64
_LEAST_PEAK = 0.01
# A look whether it runs; and what is measured: a job's fixed costs must not be most of it.
_SHORT_S, _WHOLE_S = 2.0, 15.0


def smoke(stand_in: StandIn, out: Path, tell: Listener, **options: Any) -> RunFolder:
    """Run networks on stand-in weights, the bundled portrait and its clip; return the finished run folder.

    `options` are those of a `Request`. Without `seconds`, the clip is two seconds long, or the whole 15 when full
    weights make it a measurement.
    """
    if stand_in.device == "cuda" and not (gpus := read_gpus()).gpus:
        raise CannotRun(f"--device cuda needs an NVIDIA GPU: {gpus.reason}", "--device cpu")
    with scratch("faceorch-smoke-") as folder:
        clip = folder / "smoke.wav"
        whole_s = _WHOLE_S if stand_in.size == "full" else _SHORT_S
        _cut(assets_folder() / "clip.wav", clip, stand_in.seconds or whole_s)
        request = Request(
            portrait=os.fspath(assets_folder() / "face.png"),
            clip=os.fspath(clip),
            check_face=False,
            stand_in=stand_in,
            **options,
        )
        return compare(request, out, tell, check=check_video)


def _cut(source: Path, target: Path, seconds: float) -> None:
    with wave.open(str(source), "rb") as whole, wave.open(str(target), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(round(seconds * whole.getframerate())))


def check_video(path: Path, info: VideoInfo, run: Run, job: Job) -> str:
    """Return what was found in a smoke run's video; `BrokenVideo` names all that is not as it should be."""
    clip_s = run.inputs.clip.duration_s
    decoded, audio_s, peak, title = _decode(path)
    wrong = []
    rate = _stated_rate(job)
    if rate is not None and abs(info.fps - rate) > 0.01:
        wrong.append(f"{info.fps:g} frames per second, {rate:g} needed")
    if abs(info.frames - clip_s * info.fps) > _FRAMES_TOLERANCE:
        wrong.append(f"{info.frames} frames at {info.fps:g} per second for a clip of {clip_s:.2f} s")
    if decoded != info.frames:
        wrong.append(f"{decoded} of {info.frames} frames can be decoded")
    if min(info.width, info.height) < _LEAST_SIDE:
        wrong.append(f"{info.width}x{info.height} pixels, {_LEAST_SIDE} or more a side needed")
    if (info.codec, info.pixel_format) != ("h264", "yuv420p"):
        wrong.append(f"{info.codec} {info.pixel_format}, h264 yuv420p needed")
    if info.audio_codec is None:
        wrong.append("no audio")
    elif abs(audio_s - clip_s) > _AUDIO_TOLERANCE_S:
        wrong.append(f"{audio_s:.2f} s of audio for a clip of {clip_s:.2f} s")
    elif peak < _LEAST_PEAK:
        wrong.append("its audio is silent")
    if title != SYNTHETIC_TITLE:
        wrong.append("the file is not marked as synthetic")
    if wrong:
        raise BrokenVideo("; ".join(wrong))
    return (
        f"checked: all {info.frames} frames decode, {info.fps:g} per second, {info.width}x{info.height}, "
        f"{audio_s:.2f} s of {info.audio_codec} audio; marked synthetic"
    )


def _stated_rate(job: Job) -> float | None:
    """Return the frame rate that the network promises: that of its setting, or the one it is known for."""
    if isinstance(given := job.settings.get("fps"), (int, float)):
        return float(given)
    expected = load_networks()[job.network].manifest.expected
    return None if expected is None else expected.fps


def _decode(path: Path) -> tuple[int, float, float, str]:
    """Decode everything: number of frames, seconds of audio, its peak (1 is full scale), and the title tag."""
    import av

    frames, samples, rate, peak = 0, 0, 1, 0.0
    with av.open(str(path), "r", format=VIDEO_FORMAT) as container:
        title = str(container.metadata.get("title", ""))
        resampler = av.AudioResampler(format="s16", layout="mono")
        for frame in container.decode(*container.streams.video[:1], *container.streams.audio[:1]):
            if isinstance(frame, av.VideoFrame):
                frames += 1
                continue
            assert isinstance(frame, av.AudioFrame)
            samples, rate = samples + frame.samples, frame.sample_rate
            for plain in resampler.resample(frame):
                values = memoryview(bytes(plain.planes[0])[: plain.samples * 2]).cast("h")
                peak = max(peak, max(values), -min(values))
    return frames, samples / rate, peak / 32768, title
