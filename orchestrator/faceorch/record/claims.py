"""What is published of a network's motion, beside what the judge measured; and findings in words. Pure."""

from __future__ import annotations

import math
from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from faceorch.record.judgement import Finding, Judgement, Verdict


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a network's manifest says one may expect; null where nothing is published."""

    source: Annotated[str, Meta(description="where it was published")]
    head_motion: str | None = None
    eye_blinks: str | None = None


class Agreement(Enum):
    """How a claim and a measurement go together."""

    AGREES = "agrees"
    DIFFERS = "differs"
    OPEN = "open"


class Compared(Struct, frozen=True):
    """One claim and what was measured of it; `agreement` is open when one of them is missing or unclear."""

    key: str
    claimed: str | None
    finding: Finding | None
    agreement: Agreement


# The claim's name in a manifest, by the key of its finding. Of hair, nothing is published anywhere.
_CLAIMS = {"head_motion": "head_motion", "hair_motion": None, "blinks": "eye_blinks"}
_NOTHING = ("no", "none", "still", "fixed")
_LITTLE = ("small", "slight", "little", "subtle")


def compare_claims(claims: Claims | None, judgement: Judgement | None) -> list[Compared]:
    """Return head motion, hair motion and blinks, each as it is claimed and as it was measured."""
    compared = []
    for key, name in _CLAIMS.items():
        claimed = None if claims is None or name is None else getattr(claims, name)
        finding = None if judgement is None else judgement.findings.get(key)
        compared.append(Compared(key, claimed, finding, _agreement(claimed, finding)))
    return compared


def _agreement(claimed: str | None, finding: Finding | None) -> Agreement:
    if claimed is None or finding is None:
        return Agreement.OPEN
    if finding.verdict not in (Verdict.YES, Verdict.SLIGHT, Verdict.NO):
        return Agreement.OPEN
    word = claimed.lower().replace(",", " ").split(maxsplit=1)[0] if claimed.strip() else ""
    if word in _NOTHING:
        fits = finding.verdict is not Verdict.YES
    elif word in _LITTLE:
        fits = finding.verdict is not Verdict.NO
    else:
        fits = finding.verdict is Verdict.YES
    return Agreement.AGREES if fits else Agreement.DIFFERS


STILL_PICTURE = "The face moves inside a still picture: the head turns, and the hair around it does not."

_NAMES = {
    "head_motion": "head motion",
    "hair_motion": "hair motion",
    "blinks": "blinks",
    "lip_sync": "lip-sync",
    "mouth": "mouth opening",
    "idle": "moving while silent",
    "identity": "identity",
    "sharpness": "sharpness",
    "drift": "sharpness over time",
    "flicker": "flicker",
    "background": "background",
}
_UNITS = {"deg": "°"}
_MOST_DIGITS = 6


def name_of(key: str) -> str:
    """Return what a finding is called on a page."""
    return _NAMES.get(key, key.replace("_", " "))


def figure(finding: Finding) -> str:
    """Return a finding's value with its interval, such as `26° (24 to 28)`; empty when nothing was measured.

    The interval decides the digits: half of it has one that means something.
    """
    if finding.value is None:
        return ""
    unit = _UNITS.get(finding.unit, f" {finding.unit}" if finding.unit else "")
    if finding.low is None or finding.high is None or not finding.low < finding.high:
        return f"{finding.value:.3g}{unit}"
    digits = max(0, -math.floor(math.log10((finding.high - finding.low) / 2)))
    digits = min(digits, _MOST_DIGITS)
    # Adding 0 takes the sign from what is rounded to 0.
    numbers = (round(number, digits) + 0.0 for number in (finding.value, finding.low, finding.high))
    value, low, high = (f"{number:.{digits}f}" for number in numbers)
    return f"{value}{unit} ({low} to {high})"


def face_in_still_picture(judgement: Judgement) -> bool:
    """Return whether the head moves while the hair around it stands still: a face pasted into a still picture."""
    head, hair = judgement.findings.get("head_motion"), judgement.findings.get("hair_motion")
    return head is not None and hair is not None and head.verdict is Verdict.YES and hair.verdict is Verdict.NO
