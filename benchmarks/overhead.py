"""What `faceorch run` adds to the container it starts: alternating rounds against a bare `docker run` of the same job.

usage: python benchmarks/overhead.py [--rounds N]   (needs an engine and the image: faceorch build baseline)

Prints the median wall-clock seconds of both, their difference and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 2.0


def short_clip(target: Path, seconds: float = SECONDS) -> Path:
    """Write the first seconds of the demo's clip."""
    with wave.open(str(ROOT / "assets" / "clip.wav"), "rb") as source, wave.open(str(target), "wb") as cut:
        cut.setparams(source.getparams())
        cut.writeframes(source.readframes(round(seconds * source.getframerate())))
    return target


def timed(arguments: list[str]) -> float:
    """Return the wall-clock seconds of a command that must succeed."""
    # As installed: with compiled bytecode, whatever this shell says of it; and without signing, which is an extra.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {"FACEORCH_C2PA": "0"}
    begun_s = time.monotonic()
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun_s


def bare(run: Path, job: dict[str, object], image: str) -> list[str]:
    """Return the `docker run` of the same job in the same sandbox, with nothing of ours around it."""
    job_file = run / "bare.json"
    job_file.write_text(json.dumps({**job, "feed": "none"}), "utf-8")
    out = run / "bare"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    mounts = {job_file: "/job/job.json", run / "inputs/portrait.png": "/job/portrait.png"}
    mounts[run / "inputs/clip.wav"] = "/job/clip.wav"
    binds = [f"--mount=type=bind,src={source},dst={target},readonly" for source, target in mounts.items()]
    return [
        *("docker", "run", "--rm", "--init", "--network=none", "--read-only", "--tmpfs=/tmp:rw,exec"),
        *("--cap-drop=ALL", "--security-opt=no-new-privileges", f"--user={os.getuid()}:{os.getgid()}"),
        *(*binds, f"--mount=type=bind,src={out},dst=/out", image),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    faceorch = Path(sys.executable).with_name("faceorch")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = short_clip(folder / "clip.wav")
        ours = [
            *(
                str(faceorch),
                "run",
                "--image",
                str(ROOT / "assets/face.png"),
                "--audio",
                str(clip),
                "--quiet",
                "--no-judge",
            ),
            *("--network", "baseline", "--runtime", "docker", "--set", "baseline.max_size=512", "--out", name),
        ]
        timed(ours)  # warms the page cache and makes the job file
        (record,) = folder.glob("*/run.json")
        image = json.loads(record.read_text("utf-8"))["jobs"][0]["environment"]["identity"]
        job = json.loads((record.parent / "baseline" / "job.json").read_text("utf-8"))
        theirs = bare(record.parent, job, image)
        timed(theirs)
        times: dict[str, list[float]] = {"faceorch run": [], "docker run": []}
        for _ in range(rounds):
            times["docker run"].append(timed(bare(record.parent, job, image)))
            times["faceorch run"].append(timed(ours))
    medians = {label: statistics.median(values) for label, values in times.items()}
    for label, values in times.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{label:13} median {medians[label]:.2f} s  ({spread}, {rounds} rounds)")
    added_s = medians["faceorch run"] - medians["docker run"]
    print(f"added         {added_s:.2f} s, ratio {medians['faceorch run'] / medians['docker run']:.2f}")


if __name__ == "__main__":
    main()
