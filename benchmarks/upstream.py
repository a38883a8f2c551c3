"""Upstream's own script against our runner, whole processes in turn: seconds, GPU memory, joules.

    python benchmarks/upstream.py NETWORK FOLDER --weights FOLDER --python PYTHON [--path FOLDER ...]
                                  [--own-path FOLDER ...] [--portrait FILE] [--clip FILE] [--rounds N]
                                  [--set NAME=VALUE ...] [--gpu INDEX] [--skip-upstream] [--skip-second]

FOLDER is a checkout of upstream's repository at the commit of network.yaml. PYTHON is an environment with what both
sides ask for, to which each --path adds packages, and --own-path some for ours alone. --weights are the network's
weights, or stand-ins of the real sizes (`faceorch smoke --full` makes them), which both sides read. How upstream's
script is told is in parities/NETWORK.py: its usual command, with nothing changed in it but what newer libraries refuse.
Each --set is one more variant of ours. A round runs ours, each variant, and upstream; besides, unless --skip-second is
given, ours runs two jobs in one process, of which the second finds its models loaded. Needs a GPU with nobody else on
it: --gpu, as nvidia-smi counts them (default: 0). Prints the middle and the range of everything.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pynvml
import yaml
from parity import ROOT, driver_of, environment, patched_copy

_WATCH_S = 0.05
THEIRS, WARM = "upstream", "ours, second job of a process"


@dataclass(frozen=True)
class Cost:
    """Of one process: seconds, most GPU memory (bytes), joules of the whole board, the share of time it was busy."""

    seconds: float
    memory_bytes: float
    joules: float
    busy: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    for name in ("--path", "--own-path"):
        parser.add_argument(name, type=Path, action="append", default=[])
    parser.add_argument("--portrait", type=Path, default=ROOT / "assets/face.png")
    parser.add_argument("--clip", type=Path, default=ROOT / "assets/clip.wav")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--skip-upstream", action="store_true", help="compare only variants of ours")
    parser.add_argument("--skip-second", action="store_true", help="do not run two jobs in one process")
    given = parser.parse_args()
    pynvml.nvmlInit()
    # Whatever either side starts sees this GPU alone; by default CUDA and NVML may count in another order.
    os.environ |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(given.gpu)}
    with tempfile.TemporaryDirectory(prefix="upstream-") as work:
        for name, costs in compare(given, Path(work)).items():
            print(_line(name, costs))


def compare(given: argparse.Namespace, work: Path) -> dict[str, list[Cost]]:
    """Run every side as often as asked for, in turn, and return what each process cost, by side."""
    gpu = pynvml.nvmlDeviceGetHandleByIndex(given.gpu)
    python, paths = given.python.absolute(), [path.absolute() for path in given.path]
    inputs = {name: str(getattr(given, name).absolute()) for name in ("weights", "portrait", "clip")}
    patched = patched_copy(given.network, given.folder.absolute(), python, work / "tree")
    own_paths = [path.absolute() for path in given.own_path]
    own = _environment([ROOT / "docker/runner", ROOT / "docker/kit", patched, *paths, *own_paths], python)
    request = {"network": given.network, "folder": str(given.folder.absolute()), "work": str(work), **inputs}
    (work / "request.json").write_text(json.dumps(request), "utf-8")
    theirs = [str(python), __file__, "--script", str(work / "request.json")]
    plain = _environment(paths, python)
    subprocess.run([*theirs, "prepare"], check=True, env=plain)

    def ours(*settings: str, jobs: int = 1) -> Callable[[], Cost]:
        return lambda: _ours(given.network, inputs, settings, work, python, own, jobs, gpu)

    sides: dict[str, Callable[[], Cost]] = {"ours": ours(), WARM: ours(jobs=2)}
    for asked in given.set:
        sides[f"ours, {asked}"], sides[f"{WARM}, {asked}"] = ours(asked), ours(asked, jobs=2)
    if given.skip_second:
        sides = {name: run for name, run in sides.items() if not name.startswith(WARM)}
    if not given.skip_upstream:
        sides[THEIRS] = lambda: _watched(theirs, plain, gpu)
    ours()()  # so that no round has to read files from the disk
    found: dict[str, list[Cost]] = {name: [] for name in sides}
    for turn in range(given.rounds):
        for name, run in sides.items():
            found[name].append(run())
            print(f"round {turn + 1}: {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found


def _environment(paths: list[Path], python: Path) -> dict[str, str]:
    """Return the environment of a side; what Python has compiled is kept for the next round, as in an image."""
    found = environment(paths, python)
    del found["PYTHONDONTWRITEBYTECODE"]
    return found


def _ours(
    network: str,
    inputs: dict[str, str],
    settings: tuple[str, ...],
    work: Path,
    python: Path,
    env: dict[str, str],
    jobs: int,
    gpu: Any,
) -> Cost:
    """Return what our runner costs with one job, or what the last of several adds."""
    manifest = yaml.safe_load((ROOT / "docker" / network / "network.yaml").read_text("utf-8"))
    chosen = {name: field["default"] for name, field in manifest["settings"].items()}
    for asked in settings:
        name, _, value = asked.partition("=")
        chosen[name] = yaml.safe_load(value) if not isinstance(chosen[name], str) else value
    out = Path(tempfile.mkdtemp(dir=work))
    job = {"portrait": inputs["portrait"], "audio": inputs["clip"], "seed": 0, "settings": chosen, "timeout_s": None}
    file = {
        "schema": 1,
        "network": network,
        "code": str(ROOT / "docker" / network / "code"),
        "weights": inputs["weights"],
        "out": str(out),
        "device": "cuda",
        "feed": "none",
        "jobs": [{"id": f"job-{index}", **job} for index in range(jobs)],
    }
    (out / "job.json").write_text(json.dumps(file), "utf-8")
    said = out / "events"
    cost = _watched([str(python), "-m", "faceorch_runner", str(out / "job.json")], env, gpu, said)
    if jobs == 1:
        return cost
    done = [json.loads(line) for line in said.read_text("utf-8").splitlines() if '"done"' in line]
    return Cost(done[-1]["elapsed_s"], cost.memory_bytes, float("nan"), float("nan"))


def _watched(command: list[str], env: dict[str, str], gpu: Any, out: Path | None = None) -> Cost:
    """Run a command to its end while the GPU (a handle of NVML) is looked at."""
    before = pynvml.nvmlDeviceGetMemoryInfo(gpu).used
    over, used, busy = threading.Event(), [before], [0]

    def look() -> None:
        while not over.wait(_WATCH_S):
            used.append(pynvml.nvmlDeviceGetMemoryInfo(gpu).used)
            busy.append(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu)

    watcher = threading.Thread(target=look)
    with (out or Path(os.devnull)).open("wb") as said, tempfile.TemporaryFile() as errors:
        energy, started_s = pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu), time.monotonic()
        watcher.start()
        done = subprocess.run(command, env=env, stdout=said, stderr=errors, check=False)
        seconds = time.monotonic() - started_s
        joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) - energy) / 1000.0
        over.set()
        watcher.join()
        if done.returncode != 0:
            errors.seek(0)
            sys.exit(
                f"{' '.join(command)} ended with {done.returncode}\n{errors.read().decode(errors='replace')[-3000:]}"
            )
    return Cost(seconds, max(used) - before, joules, sum(busy) / len(busy) / 100.0)


def _line(name: str, costs: list[Cost]) -> str:
    def told(values: list[float], digits: int) -> str:
        return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"

    return (
        f"{name}: {told([cost.seconds for cost in costs], 1)} s,"
        f" {told([cost.memory_bytes / 1e9 for cost in costs], 1)} GB,"
        f" {told([cost.joules / 1e3 for cost in costs], 2)} kJ,"
        f" busy {told([100 * cost.busy for cost in costs], 0)} %"
    )


def script(request: dict[str, Any], *, prepare: bool) -> None:
    """Run upstream's script as its users do, or make ready what it needs, in the environment of both sides."""
    driver, work = driver_of(request["network"]), Path(request["work"]) / "theirs"
    folder, weights = Path(request["folder"]), Path(request["weights"])
    if prepare:
        work.mkdir()
        driver.prepare_usual(folder, weights, work)
    else:
        driver.run_usual(work, weights, Path(request["portrait"]), Path(request["clip"]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--script"]:
        script(json.loads(Path(sys.argv[2]).read_text("utf-8")), prepare=sys.argv[3:] == ["prepare"])
    else:
        main()
