"""An edit for files that are not Python, and for the rare change that no syntax tree can express."""

from __future__ import annotations

import re
from dataclasses import dataclass

from faceorch_patch.core import PatchError


@dataclass(frozen=True)
class Substitute:
    """Replace what a regular expression matches (`^` and `$` at every line); exactly `count` matches must be there."""

    pattern: str
    replacement: str
    count: int = 1

    @property
    def expects(self) -> str:
        """What must be found."""
        return f"{self.count} x /{self.pattern}/"

    def apply(self, source: str) -> str:
        """Return the changed text."""
        result, found = re.subn(self.pattern, self.replacement, source, flags=re.MULTILINE)
        if found != self.count:
            raise PatchError(f"expected {self.expects}, found {found}")
        return result
