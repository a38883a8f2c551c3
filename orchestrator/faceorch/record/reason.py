"""Why something cannot be done, or was not: the one form in which plans, runtimes, runs and the record say it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from faceorch.record.kinds import OutcomeKind


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found, what is needed instead, and what to do about it; each is one line."""

    kind: OutcomeKind
    found: Annotated[str, Meta(description="what is the case")]
    needed: Annotated[str, Meta(description="what would have to be the case; empty when `found` says it all")] = ""
    remedy: Annotated[str, Meta(description="what to do; empty when nothing can be done")] = ""

    @property
    def text(self) -> str:
        """The reason in one line."""
        return f"{self.found} found, {self.needed} needed" if self.needed else self.found
