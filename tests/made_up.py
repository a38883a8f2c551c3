"""A run that was never made: networks that do not exist, with test patterns for videos and invented figures.

For tests of what reads run folders, where real networks would take hours and a GPU.
"""

from __future__ import annotations

import hashlib
import math
import random
import struct
import subprocess
import wave
from datetime import datetime, timezone
from pathlib import Path

import imageio_ffmpeg
from PIL import Image

from faceorch.record.folder import RunFolder
from faceorch.record.judgement import Box, Finding, Judge, Judgement, Trace, Verdict
from faceorch.record.kinds import JobStatus, OutcomeKind, RunStatus
from faceorch.record.reason import Reason
from faceorch.record.request import Request
from faceorch.record.run import (
    ClipRecord,
    Environment,
    Gpu,
    GpuUse,
    Host,
    Inputs,
    Job,
    Measured,
    PortraitRecord,
    Repetition,
    Run,
    Times,
    Upstream,
    Video,
    WeightFile,
)
from faceorch.record.spread import middle, spreads
from faceorch.telemetry import timeline

NAMES = ("alder", "birch", "cedar", "dogwood", "elm")
RATES = (25.0, 25.0, 30.0, 24.0, 50.0)
SIZES = (256, 192, 256, 320, 256)
WHEN = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
TEXT = "Good evening. I have a story."
HASH = "0" * 64


def make_comparison(
    folder: Path,
    *,
    count: int = 5,
    seconds: float = 4.0,
    repeat: int = 3,
    judged: bool = True,
    failures: bool = True,
    gpu: bool = True,
    portrait: Image.Image | None = None,
) -> RunFolder:
    """Make the run folder with `count` videos; with `failures`, one job failed and one was skipped."""
    (folder / "inputs").mkdir(parents=True)
    picture = portrait or Image.radial_gradient("L").resize((640, 640)).convert("RGB")
    picture.save(folder / "inputs" / "portrait.png")
    _write_clip(folder / "inputs" / "clip.wav", seconds)
    (folder / "inputs" / "clip.txt").write_text(TEXT, "utf-8")
    jobs = [_done(folder, at, seconds=seconds, repeat=repeat, judged=judged, gpu=gpu) for at in range(count)]
    if failures:
        jobs += [_failed(folder), _skipped()]
    card = Gpu(index=0, uuid="GPU-0", name="Test GPU", memory_bytes=24 * 10**9, compute_capability="8.9")
    run = Run(
        faceorch="0",
        id="20260131-120000-face-clip",
        status=RunStatus.DONE,
        created=WHEN,
        updated=WHEN,
        request=Request(portrait="/home/somebody/face.png", clip="/home/somebody/clip.wav", repeat=repeat),
        host=Host(
            os="Test OS",
            kernel="0",
            cpu="Test CPU",
            cores=2,
            memory_bytes=8 * 10**9,
            python="3.11",
            gpus=[card] if gpu else [],
        ),
        inputs=Inputs(
            portrait=PortraitRecord(
                file="inputs/portrait.png",
                source="/home/somebody/face.png",
                source_sha256=HASH,
                sha256=HASH,
                width=picture.width,
                height=picture.height,
            ),
            clip=ClipRecord(
                file="inputs/clip.wav",
                source="/home/somebody/clip.wav",
                source_sha256=HASH,
                sha256=HASH,
                duration_s=seconds,
                sample_rate_hz=16000,
            ),
        ),
        jobs=jobs,
    )
    made = RunFolder(folder, run)
    made.save()
    return made


def make_video(path: Path, *, size: int, fps: float, seconds: float, hue: int = 0, clip: Path | None = None) -> None:
    """Make a test pattern as networks' videos are: H.264, yuv420p, with a clip's sound when there is one."""
    source = f"testsrc2=size={size}x{size}:rate={fps:g}:duration={seconds:g},hue=h={hue}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", source]
    command += ["-i", str(clip)] if clip is not None else []
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _write_clip(path: Path, seconds: float, rate: int = 16000) -> None:
    """Write syllables: a tone that comes and goes four times a second, with pauses."""
    loudness = [
        max(0.0, math.sin(8 * math.pi * i / rate)) * (1 if (i / rate) % 2 < 1.6 else 0) for i in range(rate * 2)
    ]
    samples = [
        round(9000 * loudness[i % len(loudness)] * math.sin(2 * math.pi * 220 * i / rate))
        for i in range(round(seconds * rate))
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))


def _done(folder: Path, at: int, *, seconds: float, repeat: int, judged: bool, gpu: bool) -> Job:
    name, fps, size = NAMES[at], RATES[at], SIZES[at]
    path = folder / f"{name}.mp4"
    make_video(path, size=size, fps=fps, seconds=seconds, hue=70 * at, clip=folder / "inputs" / "clip.wav")
    (folder / name).mkdir()
    (folder / name / "log.txt").write_text("loading\nanimating\n", "utf-8")
    data = path.read_bytes()
    video = Video(
        file=path.name,
        width=size,
        height=size,
        fps=fps,
        frames=round(fps * seconds),
        duration_s=seconds,
        codec="h264",
        pixel_format="yuv420p",
        audio_codec="aac",
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
    repetitions = [_repetition(at, number, video, gpu=gpu) for number in range(1, repeat + 1)]
    shown = middle(repetitions)
    rows = [row for number in range(1, repeat + 1) for row in _rows(at, number, gpu=gpu)]
    written = timeline.write(folder / name, rows, "parquet")
    return Job(
        network=name,
        title=name.title(),
        status=JobStatus.DONE,
        started=WHEN,
        finished=WHEN,
        exit_code=0,
        settings={"steps": 10 * (at + 1), "note": "<b>bold?</b>"},
        environment=Environment(
            runtime="docker", identity=f"sha256:{at}", name=f"faceorch/{name}:1", base="cu121", builder="buildx"
        ),
        upstream=[Upstream(url=f"https://example.org/{name}", commit="c" * 40, licence="MIT")],
        weights=[
            WeightFile(
                path="a/net.pth", bytes=10**9, sha256=HASH, licence="CC-BY-NC-4.0", commercial=at % 2 == 0 or None
            )
        ],
        times=Times(**{key: getattr(shown.times, key) for key in shown.times.__struct_fields__} | {"prepare_s": 40.0}),
        compute_s_per_video_s=shown.compute_s_per_video_s,
        metrics=shown.metrics,
        gpus=shown.gpus,
        timeline=f"{name}/{written.name}",
        repetitions=repetitions if repeat > 1 else [],
        repetition=shown.number if repeat > 1 else None,
        spreads=spreads(repetitions) if repeat > 1 else {},
        video=video,
        log=f"{name}/log.txt",
        judgement=_judgement(at, video) if judged else None,
    )


def _repetition(at: int, number: int, video: Video, *, gpu: bool) -> Repetition:
    slow = (at + 1) ** 2 * (1 + number / 50)
    animate_s = 3.0 * slow
    times = Times(
        start_s=0.5, import_s=2.0, check_s=0.1, setup_s=4.0, animate_s=animate_s, first_frame_s=1.0, stop_s=0.4,
        total_s=7.0 + animate_s,
    )  # fmt: skip
    unavailable = Measured(value=None, unit="B", method="unavailable", note="it uses no GPU")
    vram = Measured(value=(at + 2) * 1e9, unit="B", method="per_process") if gpu else unavailable
    energy = Measured(value=0.5 * slow, unit="Wh", method="energy_counter") if gpu else unavailable
    use = GpuUse(uuid="GPU-0", index=0, name="Test GPU", exclusive=True, vram_peak_bytes=vram, energy_wh=energy)
    return Repetition(
        number=number,
        warmup=False,
        started=WHEN,
        times=times,
        video_sha256=video.sha256,
        compute_s_per_video_s=animate_s / video.duration_s,
        metrics={
            "vram_peak_bytes": vram,
            "energy_wh": energy,
            "cpu_s": Measured(value=5.0 * slow, unit="s", method="cgroup"),
            "memory_peak_bytes": Measured(value=(at + 3) * 5e8, unit="B", method="cgroup"),
        },
        gpus=[use] if gpu else [],
    )


def _rows(at: int, number: int, *, gpu: bool) -> list[timeline.Row]:
    luck = random.Random(at)
    rows = []
    end_s = 7.0 + 3.0 * (at + 1) ** 2
    for step in range(round(end_s * 4)):
        t_s = step / 4
        stage = "start" if t_s < 0.5 else "import" if t_s < 2.5 else "setup" if t_s < 6.6 else "animate"
        busy = {"start": 0.0, "import": 0.05, "setup": 0.3, "animate": 0.9}[stage]
        row: timeline.Row = {"repetition": number, "warmup": False, "t_s": t_s, "stage": stage}
        if gpu:
            rows.append(
                row
                | {
                    "gpu": 0,
                    "vram_bytes": int((at + 2) * 1e9 * min(1.0, 0.2 + busy)),
                    "gpu_utilisation_percent": 100 * busy * luck.uniform(0.8, 1.1),
                    "power_w": 60 + 300 * busy * luck.uniform(0.9, 1.05),
                }
            )
        rows.append(row | {"cpu_s": 1.2 * t_s, "memory_bytes": int(5e8 * (1 + busy)), "threads": 8})
    return rows


def _judgement(at: int, video: Video) -> Judgement:
    step = 1 / video.fps
    return Judgement(
        judge=Judge(version="0", models={"face.onnx": HASH}, thresholds=HASH),
        frames=video.frames,
        duration_s=video.duration_s,
        coverage=1.0,
        findings={
            "head_motion": Finding(
                value=1.5 * at,
                unit="deg",
                low=1.2 * at,
                high=1.8 * at,
                verdict=Verdict.NO if at == 0 else Verdict.YES,
                says="still" if at == 0 else "moves",
                reason="spread of the yaw",
            ),
            "blinks": Finding(value=12.0, unit="per min", verdict=Verdict.YES, says="blinks", reason="4 closures"),
            "lip_sync": Finding(
                value=0.5 + 0.1 * at,
                low=0.45 + 0.1 * at,
                high=0.55 + 0.1 * at,
                verdict=Verdict.YES,
                says="follows the speech",
                reason="correlation with the voice",
            ),
        },
        traces={"mouth": Trace(step_s=step, values=[abs(math.sin(i / 5)) for i in range(min(video.frames, 200))])},
        boxes={
            "face": Box(left=0.25, top=0.2, width=0.5, height=0.6),
            "eyes": Box(left=0.3, top=0.3, width=0.4, height=0.15),
            "mouth": Box(left=0.4, top=0.6, width=0.2, height=0.12),
        },
    )


def _failed(folder: Path) -> Job:
    (folder / "fir").mkdir()
    (folder / "fir" / "log.txt").write_text("Traceback\n<script>alert(1)</script>\n", "utf-8")
    return Job(
        network="fir",
        title="Fir <img src=x onerror=alert(1)>",
        status=JobStatus.FAILED,
        reason=Reason(
            kind=OutcomeKind.GPU_OUT_OF_MEMORY,
            found="24 GB of GPU memory",
            needed="40 GB",
            remedy="run it with --set fir.size=256",
        ),
        started=WHEN,
        finished=WHEN,
        exit_code=1,
        times=Times(start_s=0.5, import_s=2.0, total_s=3.0),
        log="fir/log.txt",
        log_tail=["Traceback", "<script>alert(1)</script>", "File /home/somebody/.cache/faceorch/x.py, line 3"],
    )


def _skipped() -> Job:
    return Job(
        network="gum",
        title="Gum",
        status=JobStatus.SKIPPED,
        reason=Reason(kind=OutcomeKind.NOT_BUILT, found="its image is not built", remedy="faceorch build gum"),
    )
