"""Fits the operator of the judge's lip-sync on people who talk, and tells how well it does on those it has not seen.

    PYTHONPATH=docker/runner:docker/kit python docker/judge/calibration/fit.py FOLDER [--cache CACHE]

FOLDER holds the clips of clips.json, which says where each is from; they are not ours to pass on. CACHE keeps what the
judge saw in each: empty it when the judge's eyes change (faces.py, watching.py, the models). Writes code/operator.npz,
the same bytes from the same clips on one machine. Needs the judge's environment; takes minutes, on a CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, fields
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceorch_runner.network import load_module

HERE = Path(__file__).resolve().parent
CODE = HERE.parent / "code"
faces, models, survey, sync, video, voice, watching = (
    load_module(CODE, "judge", name) for name in ("faces", "models", "survey", "sync", "video", "voice", "watching")
)

Floats = NDArray[np.float64]

LAMBDA = 1e4  # of the ridge; AUC at 3e3: 0.96, here: 0.96, at 3e4: 0.95, at 1e5: 0.92
ROUNDS = 2  # after the first, every clip is laid at the lag that the others found in it
LEAST_S = 5.0  # of clips in which shifts are looked for
SHIFTS_MS = (40, 80, 160, 320)


@dataclass(frozen=True)
class Source:
    """A clip of clips.json: a file at a commit of a repository, and the part of it that is used."""

    name: str
    repository: str
    path: str
    commit: str
    sha256: str
    from_s: float
    to_s: float
    speaker: str


@dataclass(frozen=True, eq=False)
class Example:
    """Somebody who talks: the `sound` and the signals of the mouth (n, 7), which begin `first` steps after it."""

    source: Source
    sound: NDArray[np.float32]
    bands: Floats
    first: int
    measured: Floats

    @property
    def seconds(self) -> float:
        """How much of it there is."""
        return len(self.measured) / float(sync.RATE_HZ)


@dataclass(frozen=True, eq=False)
class Result:
    """What one clip's mouth is to its own sound and to that of other speakers, by an operator that knows neither."""

    example: Example
    matched: Any  # sync.Peak
    swapped: list[float]
    chance: float | None
    moved_ms: dict[int, float]


def main() -> None:
    """Fit, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    examples = load(given.folder, given.cache)
    for line in tell(evaluate(examples)):
        print(line)
    fit(examples, own_lags(examples)).write(CODE / "operator.npz")
    print(f"operator.npz: sha256 {sync.operator_digest()}")


def load(folder: Path, keep: Path | None = None) -> list[Example]:
    """Return what the judge sees and hears in the clips."""
    sources = [Source(**entry) for entry in json.loads((HERE / "clips.json").read_text("utf-8"))]
    return [_example(folder / source.name, source, keep) for source in sources]


def fit(examples: list[Example], lags: dict[str, int]) -> Any:
    """Return the operator: ridge regression of the signals on the spectra, each clip laid at its lag in steps."""
    total = _Moments(0, *[0.0] * 4)
    for example in examples:
        total += _moments(example, lags[example.source.name])
    mean, level = total.given / total.count, total.wanted / total.count
    spread = total.squares - total.count * np.outer(mean, mean)
    both = total.products - total.count * np.outer(mean, level)
    return sync.Operator(mean, np.linalg.solve(spread + LAMBDA * np.eye(len(mean)), both))


def own_lags(examples: list[Example]) -> dict[str, int]:
    """Return the lag of each clip in steps, as operators find it that do not know its speaker."""
    lags = {example.source.name: 0 for example in examples}
    for _ in range(ROUNDS):
        without = _without(examples, lags)
        found = {example.source.name: _peak(without[example.source.speaker], example) for example in examples}
        lags = {name: round(best.lag_ms / sync.STEP_MS) for name, best in found.items()}
    return lags


def evaluate(examples: list[Example]) -> list[Result]:
    """Return how each clip does with an operator that was fitted, lags and all, without its speaker."""
    results = []
    for speaker in sorted({example.source.speaker for example in examples}):
        others = [example for example in examples if example.source.speaker != speaker]
        operator = fit(others, own_lags(others))
        for example in examples:
            if example.source.speaker == speaker:
                results.append(_result(operator, example, others))
    return results


def auc(results: list[Result]) -> float:
    """Return how often a clip's own sound gives a greater S than another speaker's, over all pairs."""
    swapped = np.concatenate([result.swapped for result in results])
    return float(np.mean([(result.matched.strength > swapped).mean() for result in results]))


def found_shifts(results: list[Result], tolerance_ms: float = 20.0) -> dict[int, tuple[int, int]]:
    """Return for each shift in how many clips of LEAST_S or more it was found, and how many there are."""
    long = [result for result in results if result.example.seconds >= LEAST_S]
    return {
        shift: (sum(abs(result.moved_ms[shift] - shift) <= tolerance_ms for result in long), len(long))
        for shift in SHIFTS_MS
    }


def tell(results: list[Result]) -> list[str]:
    """Return what the evaluation found, line by line."""
    lines = []
    for result in sorted(results, key=lambda result: result.example.source.name):
        best, source = result.matched, result.example.source
        chance = "-" if result.chance is None else f"{result.chance:.2f}"
        moved = " ".join(f"{ms:+.0f}" for ms in result.moved_ms.values())
        lines.append(
            f"{source.name:24} {source.speaker:12} {result.example.seconds:5.1f} s  S {best.strength:5.2f}"
            f"  swapped {np.mean(result.swapped):5.2f}  lag {best.lag_ms:+5.0f} ms  p {chance:>4}  moved {moved}"
        )
    matched = np.array([result.matched.strength for result in results])
    swapped = np.concatenate([result.swapped for result in results])
    speakers = len({result.example.source.speaker for result in results})
    seconds = sum(result.example.seconds for result in results)
    lines.append(f"{len(results)} clips, {speakers} speakers, {seconds:.0f} s; leave one speaker out:")
    lines.append(
        f"S matched {matched.mean():.2f} +- {matched.std():.2f}, swapped {swapped.mean():.2f} +- {swapped.std():.2f}"
    )
    lines.append(f"AUC {auc(results):.3f}")
    long = [result for result in results if result.example.seconds >= LEAST_S]
    lines.append(f"AUC {auc(long):.3f} over the {len(long)} clips of {LEAST_S:g} s or more")
    for shift, (found, of) in found_shifts(results).items():
        lines.append(f"sound {shift} ms later: found within 20 ms in {found} of {of} clips of {LEAST_S:g} s or more")
    return lines


def _result(operator: Any, example: Example, others: list[Example]) -> Result:
    best = _peak(operator, example)
    given = example.first, example.measured
    return Result(
        example=example,
        matched=best,
        swapped=[_peak(operator, example, other).strength for other in others],
        chance=sync.by_chance(operator.predict(example.bands), *given, best.correlation),
        moved_ms={shift: sync.shift_test(operator, example.sound, *given, best.lag_ms, shift) for shift in SHIFTS_MS},
    )


def _without(examples: list[Example], lags: dict[str, int]) -> dict[str, Any]:
    """Return for each speaker the operator that was fitted on the others."""
    speakers = sorted({example.source.speaker for example in examples})
    return {name: fit([one for one in examples if one.source.speaker != name], lags) for name in speakers}


@dataclass(frozen=True, eq=False)
class _Moments:
    """Sums over steps: of what is given and wanted, and of the products within the first and between both."""

    count: int
    given: Any
    wanted: Any
    squares: Any
    products: Any

    def __add__(self, other: _Moments) -> _Moments:
        return _Moments(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


@cache
def _moments(example: Example, lag: int) -> _Moments:
    wide = sync.context(example.bands)
    at = example.first + np.arange(len(example.measured)) + lag
    known = np.isfinite(example.measured).all(axis=1) & (at >= 0) & (at < len(wide))
    values, given = example.measured[known], wide[at[known]]
    wanted = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
    return _Moments(len(given), given.sum(axis=0), wanted.sum(axis=0), given.T @ given, given.T @ wanted)


def _peak(operator: Any, example: Example, sound: Example | None = None) -> Any:
    bands = (example if sound is None else sound).bands
    first, measured = example.first, example.measured[: max(0, len(bands) - example.first)]
    return sync.peak(sync.curve(operator.predict(bands), first, measured))


def _example(path: Path, source: Source, keep: Path | None) -> Example:
    if sha256(path.read_bytes()).hexdigest() != source.sha256:
        sys.exit(f"{path} is not the file that clips.json means")
    times, series = _seen(path, source, keep)
    sound = video.Video(path).sound()
    if sound is None:
        sys.exit(f"{path} has no sound")
    used = (times >= source.from_s) & (times < source.to_s)
    rate = voice.SAMPLE_HZ
    sound = sound[round(source.from_s * rate) : round(source.to_s * rate)]
    first, measured = sync.signals(times[used] - source.from_s, {name: all_[used] for name, all_ in series.items()})
    return Example(source, sound, voice.log_mel(sound), first, measured[: voice.count(sound) - first])


def _seen(path: Path, source: Source, keep: Path | None) -> tuple[Floats, dict[str, Floats]]:
    """Return the times of a clip's frames and the signals of the mouth, as the judge sees them."""
    kept = None if keep is None else keep / f"{source.sha256}.npz"
    if kept is None or not kept.is_file():
        eyes, clip = models.Models(), video.Video(path)
        seen = survey.survey(clip)
        place = faces.find_place(eyes, seen.probes)
        if place is None:
            sys.exit(f"{path} shows no face")
        watched = watching.watch(eyes, clip, seen, place, None, lambda share: None)
        if kept is None:
            return watched.times, watched.series
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, times=watched.times, **watched.series)
    with np.load(kept, allow_pickle=False) as file:
        return file["times"], {name: file[name] for name in sync.SIGNALS}


if __name__ == "__main__":
    main()
