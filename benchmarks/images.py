"""Two images of one network side by side: what a change does to its time, GPU memory, energy and video.

usage: python benchmarks/images.py [--rounds N] NETWORK BEFORE AFTER [-- OPTION ...]

BEFORE and AFTER are image references, as `faceorch images` lists them; the options are those of `faceorch smoke`, such
as --full --device cuda. Each round runs it with one image and then with the other. Prints the median and the range of
each figure, the ratio of the medians, and whether all videos are the same, byte for byte.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from faceorch.record.folder import RunFolder
from faceorch.record.run import Job

# By name, and by what it is divided to be read with ease.
METRICS = {"vram_peak_bytes": 1e9, "energy_wh": 1.0, "cpu_s": 1.0, "memory_peak_bytes": 1e9}


def smoke(network: str, image: str, options: list[str]) -> Job:
    """Return the job of one smoke run, which must succeed."""
    with tempfile.TemporaryDirectory() as out:
        command = [str(Path(sys.executable).with_name("faceorch")), "smoke", network, "--runtime", "docker"]
        command += ["--use-image", f"{network}={image}", "--out", out, *options]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
        (folder,) = Path(out).iterdir()
        return RunFolder.load(folder).run.job(network)


def figures(job: Job) -> dict[str, float]:
    """Return what was measured of a job, by name."""
    found = {"setup_s": job.times.setup_s, "animate_s": job.times.animate_s}
    for name, unit in METRICS.items():
        if name in job.metrics and (value := job.metrics[name].value) is not None:
            found[name.replace("_bytes", "_gb")] = value / unit
    return {name: value for name, value in found.items() if value is not None}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    for name in ("network", "before", "after"):
        parser.add_argument(name)
    parser.add_argument("options", nargs="*")
    asked = parser.parse_args()
    images = (asked.before, asked.after)
    for image in images:  # so that no round has to read it from the disk
        smoke(asked.network, image, asked.options)
    rounds = [[smoke(asked.network, image, asked.options) for image in images] for _ in range(asked.rounds)]
    before, after = ([figures(pair[side]) for pair in rounds] for side in (0, 1))
    for name in before[0]:
        values = [[found[name] for found in side] for side in (before, after)]
        told = [f"{median(side):.4g} ({min(side):.4g} to {max(side):.4g})" for side in values]
        print(f"{name:18} {told[0]:36} {told[1]:36} ratio {median(values[1]) / median(values[0]):.3f}")
    videos = {job.video.sha256 for pair in rounds for job in pair if job.video is not None}
    print("every video is the same" if len(videos) == 1 else f"{len(videos)} different videos")


if __name__ == "__main__":
    main()
