"""Measures containers of known cost on a real GPU, says whether the figures fit, and writes down every sample.

usage: python benchmarks/gpu_attribution.py --image IMAGE --python PATH [--out FOLDER] [--only NAME ...]

IMAGE is a local image whose Python at PATH has torch; the same PATH on this host serves the venv runtime. Needs an
engine that gives GPUs to containers. Exit code 1: something does not fit.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "orchestrator"), str(ROOT / "docker" / "runner")]

from tests.gpu.scenarios import SCENARIOS, Lab, Outcome, possible  # noqa: E402

from faceorch.engine.client import connect  # noqa: E402
from faceorch.telemetry.nvml import read_gpus  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--out", type=Path, default=Path("gpu-samples"))
    parser.add_argument("--only", nargs="*", default=[], choices=list(SCENARIOS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    version = connect().version()
    gpus = read_gpus()
    machine = {
        "gpus": [gpu.name for gpu in gpus.gpus],
        "driver": gpus.driver,
        "engine": f"{version['Version']} (API {version['ApiVersion']})",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    print(json.dumps(machine), flush=True)
    failed = 0
    with contextlib.ExitStack() as after:
        folder = Path(after.enter_context(tempfile.TemporaryDirectory(prefix="faceorch-gpu-")))
        lab = Lab(folder, given.image, given.python)
        after.callback(lab.close)
        names = [name for name in possible(lab) if not given.only or name in given.only or name == "context"]
        records: dict[str, Any] = {}
        for name in names:
            failed += _one(lab, name, records)
            (given.out / "samples.json").write_bytes(msgspec.json.encode({"machine": machine, "scenarios": records}))
    print(f"{failed} of the checks do not hold" if failed else "every check holds", flush=True)
    sys.exit(1 if failed else 0)


def _one(lab: Lab, name: str, records: dict[str, Any]) -> int:
    """Run one scenario, print its checks, keep its samples; return how many checks do not hold."""
    try:
        outcome = SCENARIOS[name](lab)
    except Exception:  # one scenario that breaks must not take the others' samples with it
        print(f"{name}: BROKEN\n{traceback.format_exc()}", flush=True)
        return 1
    for check in outcome.checks:
        print(f"{name}: {'holds ' if check.holds else 'FAILS '} {check.name}: {check.found}", flush=True)
    records[name] = _record(outcome, lab)
    return sum(not check.holds for check in outcome.checks)


def _record(outcome: Outcome, lab: Lab) -> Any:
    """Return a scenario as data: what was seen, and what is known about it. Serial numbers are left out."""
    jobs = {
        name: {
            "seen": msgspec.to_builtins(found.seen),
            "stages": found.stages,
            "said": found.said,
            "metrics": msgspec.to_builtins(found.job.metrics),
            "gpus": msgspec.to_builtins(found.job.gpus),
            "sampled": msgspec.to_builtins(found.job.sampled),
        }
        for name, found in outcome.measurements.items()
    }
    checks = [[check.name, check.holds, check.found] for check in outcome.checks]
    text = json.dumps(
        {
            "expected": {**outcome.expected, "context_bytes": lab.context_bytes},
            "jobs": jobs,
            "checks": checks,
        }
    )
    for gpu in lab.gpus:
        text = text.replace(gpu.uuid, f"GPU-{gpu.index:08d}")
    return json.loads(text)


if __name__ == "__main__":
    main()
