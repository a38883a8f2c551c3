"""What looking costs: alternating rounds of one job in a container, with and without faceorch's measuring, in one run.

usage: python benchmarks/sampling_cost.py [--rounds N] [--seconds S] [--runtime docker|venv] [--use-image REF]

Needs the image (faceorch build baseline) or, with --runtime venv, builds the environment. Prints the medians of what
the job took with and without (with venv also its processor time, which other programs disturb less), their ratios, and
how much of one core the measuring used. Where there is a GPU, `benchmarks/gpu_attribution.py --only cost` does the same
for a GPU's load.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "orchestrator"), str(ROOT / "docker" / "runner")]

from benchmarks.overhead import short_clip  # noqa: E402

from faceorch.comparison import compare  # noqa: E402
from faceorch.record.request import Request  # noqa: E402
from faceorch.runs.execute import Executor  # noqa: E402
from faceorch.telemetry.samples import Watched  # noqa: E402
from faceorch.telemetry.watch import GPU_HZ, Watch  # noqa: E402


@dataclass(frozen=True, slots=True)
class Round:
    """One job: its own time, faceorch's processor time, and what of that was the measuring's."""

    animate_s: float
    total_s: float
    job_cpu_s: float
    host_cpu_s: float
    looking_cpu_s: float
    watched_s: float


def one_round(clip: Path, out: Path, runtime: str, image: str | None, hz: float, seen: list[Watched]) -> Round:
    seen.clear()
    request = Request(
        portrait=str(ROOT / "assets" / "face.png"),
        clip=str(clip),
        networks=("baseline",),
        runtime=runtime,  # type: ignore[arg-type]
        use_images={} if image is None else {"baseline": image},
        sampling_hz=hz,
        judge=False,
        settings={"baseline": {"max_size": 512}},
    )
    before, cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
    folder = compare(request, out, lambda event: None)
    after, cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time() - cpu_s
    (job,) = folder.run.jobs
    if job.times.animate_s is None or job.times.total_s is None or job.reason is not None:
        sys.exit(f"the job failed: {job.reason}")
    (watched,) = seen
    length_s = watched.ended_s - watched.begun_s
    job_cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Round(job.times.animate_s, job.times.total_s, job_cpu_s, cpu_s, watched.cpu_s, length_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of the clip")
    parser.add_argument("--runtime", choices=["docker", "venv"], default="docker")
    parser.add_argument("--use-image", help="an image of the baseline, instead of one that faceorch built")
    given = parser.parse_args()
    seen: list[Watched] = []

    class Kept(Watch):
        """A watch whose findings the benchmark sees."""

        def __enter__(self) -> Watch:
            seen.append(self.seen)
            return super().__enter__()

    Executor.watch = Kept
    found: dict[float, list[Round]] = {0.0: [], GPU_HZ: []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = short_clip(folder / "clip.wav", given.seconds)
        one_round(
            clip, folder / "warm", given.runtime, given.use_image, 0.0, seen
        )  # warms the page cache, builds the environment
        for number in range(given.rounds):
            for hz in (0.0, GPU_HZ) if number % 2 else (GPU_HZ, 0.0):
                found[hz].append(one_round(clip, folder / "runs", given.runtime, given.use_image, hz, seen))
    off, on = found[0.0], found[GPU_HZ]
    print(f"{given.rounds} rounds each, {given.runtime}, a clip of {given.seconds:g} s")
    shown = {"animate": "animate_s", "start to stop": "total_s", "faceorch's own CPU": "host_cpu_s"}
    if given.runtime == "venv":
        shown["the job's CPU"] = "job_cpu_s"
    for label, field in shown.items():
        without, with_ = ([getattr(one, field) for one in rounds] for rounds in (off, on))
        ratio = statistics.median(with_) / statistics.median(without)
        pairs = statistics.median(b / a for a, b in zip(without, with_, strict=True))
        print(
            f"{label:18} {statistics.median(with_):7.3f} s with ({min(with_):.3f} to {max(with_):.3f}), "
            f"{statistics.median(without):7.3f} s without ({min(without):.3f} to {max(without):.3f}): "
            f"ratio {ratio:.4f}, median of paired ratios {pairs:.4f}"
        )
    core = sum(one.looking_cpu_s for one in on) / sum(one.watched_s for one in on)
    print(f"measuring used {100 * core:.2f} % of one core")


if __name__ == "__main__":
    main()
