"""What the judge found in a video: the part of the record that says what moves, and how surely.

The judge (docker/judge) writes it as JSON; what it leaves is hostile until it has passed these types.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta

Share = Annotated[float, Meta(ge=0, le=1)]
_Words = Annotated[str, Meta(max_length=300)]
_Key = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,39}$")]
_Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Verdict(Enum):
    """What may be said of one metric."""

    YES = "yes"
    SLIGHT = "slight"
    NO = "no"
    UNCLEAR = "unclear"
    NOT_MEASURABLE = "not_measurable"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One object of a judgement."""


class Finding(_Part, frozen=True, kw_only=True):
    """One metric: its value with an interval, a verdict, and the one reason for it."""

    value: Annotated[float | None, Meta(description="null when it could not be measured")] = None
    unit: Annotated[str, Meta(max_length=20)] = ""
    low: Annotated[float | None, Meta(description="lower end of the 95 % interval")] = None
    high: Annotated[float | None, Meta(description="upper end of the 95 % interval")] = None
    verdict: Verdict
    says: Annotated[_Words, Meta(description="the verdict in the metric's own words, such as `follows the speech`")]
    reason: Annotated[_Words, Meta(description="why, in one sentence")]
    details: Annotated[dict[_Key, float | None], Meta(max_length=30, description="further figures")] = {}


class Trace(_Part, frozen=True, kw_only=True):
    """A series thinned out for a small picture; the whole of it is in the series file."""

    unit: Annotated[str, Meta(max_length=20)] = ""
    step_s: Annotated[float, Meta(gt=0, description="seconds between two values; the first is at 0")]
    values: Annotated[list[float | None], Meta(max_length=2000, description="null where there was no face")]


class Box(_Part, frozen=True, kw_only=True):
    """A rectangle of the picture; all four are shares of its width or height, from the upper left."""

    left: Share
    top: Share
    width: Share
    height: Share


class Judge(_Part, frozen=True, kw_only=True):
    """What judged: findings of two judges that differ in any of it are not compared."""

    version: Annotated[str, Meta(max_length=40)]
    models: Annotated[dict[str, _Hash], Meta(max_length=20, description="file -> SHA-256")]
    thresholds: Annotated[_Hash, Meta(description="SHA-256 of the table of thresholds")]
    operator: Annotated[_Hash | None, Meta(description="SHA-256 of the lip-sync operator; null: there is none")] = None
    fallbacks: Annotated[list[_Words], Meta(max_length=20, description="what served instead of a missing model")] = []


class Judgement(_Part, frozen=True, kw_only=True):
    """What the judge found in one video."""

    judge: Judge
    frames: Annotated[int, Meta(ge=0)]
    duration_s: Annotated[float, Meta(ge=0)]
    coverage: Annotated[Share, Meta(description="share of the frames in which the face was found")]
    findings: Annotated[
        dict[_Key, Finding],
        Meta(
            max_length=40,
            description="head_motion, hair_motion, blinks, lip_sync, mouth, idle, identity, sharpness, drift, flicker, "
            "background (docs/reference/judge.md)",
        ),
    ]
    traces: Annotated[dict[_Key, Trace], Meta(max_length=10, description="yaw, closure, mouth, voice")] = {}
    boxes: Annotated[dict[_Key, Box], Meta(max_length=10, description="face, eyes, mouth: where they are")] = {}
    notes: Annotated[list[_Words], Meta(max_length=40)] = []
    elapsed_s: Annotated[float, Meta(ge=0, description="seconds that the judge took")] = 0.0
    series: Annotated[str | None, Meta(description="every series; path relative to the run folder")] = None
