"""What a judgement says: found and needed value, what that means, and what to do."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import msgspec
from msgspec import Meta


class Severity(str, Enum):
    """How bad it is: an error keeps a network from running here, a warning does not."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One check's result. `found` and `needed` are for people: values with their units."""

    check: Annotated[str, Meta(description="what was looked at, such as engine or driver")]
    severity: Severity
    found: str
    needed: str = ""
    running: Annotated[str, Meta(description="what it means for running networks")] = ""
    measuring: Annotated[str, Meta(description="what it means for what is measured")] = ""
    remedy: str = ""
