"""Comparison of versions."""

from __future__ import annotations

import re


def version_key(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: `20.10.24+dfsg1` is (20, 10, 24), and () if there are none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
