"""The result of a check: what was found and needed, what that means, and the remedy."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta


class Severity(str, Enum):
    """How serious a finding is: an error keeps a network from running here, a warning does not."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one check. `found` and `needed` are written for people: values with their units."""

    check: Annotated[str, Meta(description="what was checked, such as engine or driver")]
    severity: Severity
    found: str
    needed: str = ""
    running: Annotated[str, Meta(description="consequence for running networks")] = ""
    measuring: Annotated[str, Meta(description="consequence for measurements")] = ""
    remedy: str = ""
