"""Where the verdicts turn: thresholds.json, in which every number stands beside its evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

_PATH = Path(__file__).with_name("thresholds.json")


def digest() -> str:
    """Return the SHA-256 of the table."""
    return sha256(_PATH.read_bytes()).hexdigest()


def _read() -> dict[str, dict[str, float]]:
    table: dict[str, dict[str, dict[str, float]]] = json.loads(_PATH.read_text("utf-8"))
    return {metric: {name: float(entry["value"]) for name, entry in rows.items()} for metric, rows in table.items()}


THRESHOLDS: Mapping[str, Mapping[str, float]] = _read()
