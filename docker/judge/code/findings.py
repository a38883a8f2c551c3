"""One metric's outcome: a value with its interval, a verdict, and the one reason for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

_DIGITS = 4  # significant ones that go into the file


class Verdict(str, Enum):
    """What may be said of one metric."""

    YES = "yes"
    SLIGHT = "slight"
    NO = "no"
    UNCLEAR = "unclear"
    NOT_MEASURABLE = "not_measurable"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A value in `unit` with its 95 % interval; `says` is the verdict in the metric's own words.

    Numbers that are not finite are those that could not be measured; they become null.
    """

    value: float | None = None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    verdict: Verdict
    says: str
    reason: str
    details: Mapping[str, float | None] = field(default_factory=dict)

    def but(self, verdict: Verdict, says: str, reason: str) -> Finding:
        """Return the same figures with another verdict."""
        return replace(self, verdict=verdict, says=says, reason=reason)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as the record has it."""
        return {
            "value": number(self.value),
            "unit": self.unit,
            "low": number(self.low),
            "high": number(self.high),
            "verdict": self.verdict.value,
            "says": self.says,
            "reason": self.reason,
            "details": {key: number(value) for key, value in self.details.items()},
        }


def not_measurable(reason: str, **details: float | None) -> Finding:
    """Return the finding of a metric that cannot be measured here, and why."""
    return Finding(verdict=Verdict.NOT_MEASURABLE, says="not measurable", reason=reason, details=details)


def number(value: float | None) -> float | None:
    """Return a number with as many digits as mean something; None for one that is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")
