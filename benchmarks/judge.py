"""What the judge claims, measured on people who talk.

    PYTHONPATH=docker/runner:docker/kit python benchmarks/judge.py FOLDER [--cache CACHE]

FOLDER holds the clips of docker/judge/calibration/clips.json, CACHE what the judge saw in them (see fit.py there).
Needs the judge's environment; takes minutes, on a CPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


class Bench:
    """The clips, and what was found in them; each is computed once, when a claim asks for it."""

    def __init__(self, folder: Path, cache: Path | None) -> None:
        self.folder, self.cache = folder, cache
        self.fit = _calibration()

    @cached_property
    def sync(self) -> list[Any]:
        """Each clip's lip-sync, by an operator that was fitted on the other speakers."""
        return list(self.fit.evaluate(self.fit.load(self.folder, self.cache)))


def swapped_sound(bench: Bench) -> list[str]:
    """A clip's own sound has a greater S than another speaker's."""
    matched = np.array([result.matched.strength for result in bench.sync])
    swapped = np.concatenate([result.swapped for result in bench.sync])
    return [
        f"AUC {bench.fit.auc(bench.sync):.3f} over {len(matched)} clips",
        f"S {matched.mean():.2f} +- {matched.std():.2f} with their own sound",
        f"S {swapped.mean():.2f} +- {swapped.std():.2f} with another speaker's",
    ]


def shifted_sound(bench: Bench) -> list[str]:
    """When the sound comes later, the best lag moves by as much."""
    found = bench.fit.found_shifts(bench.sync)
    return [f"{shift} ms later: within 20 ms in {right} of {of} clips" for shift, (right, of) in found.items()]


CLAIMS: tuple[Callable[[Bench], list[str]], ...] = (swapped_sound, shifted_sound)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    bench = Bench(given.folder, given.cache)
    for claim in CLAIMS:
        print(claim.__doc__)
        for line in claim(bench):
            print(f"    {line}")


def _calibration() -> Any:
    path = ROOT / "docker" / "judge" / "calibration" / "fit.py"
    spec = importlib.util.spec_from_file_location("judge_calibration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge_calibration"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
