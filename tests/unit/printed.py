"""What a runner prints, for tests of both sides of the contract."""

from __future__ import annotations

GOOD = {"event": "progress", "t_s": 1.5, "job": "a", "done": 1, "total": 2, "unit": "frames"}


def record(text: str | bytes) -> bytes:
    return b"\x1e" + (text if isinstance(text, bytes) else text.encode()) + b"\n"
