"""What a judge leaves, taken over: hostile until its size, kind, types, numbers and text are checked."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from faceorch.files import Refused, take
from faceorch.record.judgement import Judgement
from faceorch.untrusted import LARGEST, NAME, SENTENCE, text

JUDGEMENT_BYTES = 4 * 2**20
SERIES_BYTES = 256 * 2**20  # ten minutes of every series are a tenth of this
_WORDS = 300  # the record's own limit


class _NotJudged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the runner writes about a video that could not be judged."""

    error: str


def take_judgement(work: Path, name: str) -> Judgement | str:
    """Return what the judge found in the video `name`, or the line that says why it found nothing.

    It lies in the folder `out` below `work`. `Refused` when there is no such file, or it is not what it should be.
    """
    copy = work / "judgement.json"
    try:
        take(work, f"out/{name}.json", copy, limit=JUDGEMENT_BYTES)
        data = copy.read_bytes()
    finally:
        copy.unlink(missing_ok=True)
    try:
        if b'"error"' in data[:20]:
            return text(msgspec.json.decode(data, type=_NotJudged).error, SENTENCE)
        found = msgspec.to_builtins(msgspec.json.decode(data, type=Judgement))
        return msgspec.convert({**_clean(found), "series": None}, Judgement)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Refused(f"{name}.json is not a judgement: {text(str(error), SENTENCE)}") from error


def take_series(work: Path, name: str, target: Path) -> None:
    """Keep the series of the video `name` at `target`, unopened; `Refused` when there is no such file."""
    take(work, f"out/{name}.parquet", target, limit=SERIES_BYTES)


def _clean(value: Any) -> Any:
    """Return a judgement's values with text that can be shown; `ValueError` when a number is not one."""
    if isinstance(value, str):
        return text(value, _WORDS)
    if isinstance(value, float) and not (math.isfinite(value) and abs(value) <= LARGEST):
        raise ValueError("it holds a number that is not finite")
    if isinstance(value, dict):
        return {text(key, NAME): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
