"""What a runner does besides animating: stand-in weights for smoke tests, and repacking weights as safetensors.

A job file with an `op` asks for it: `synthetic` or `convert` (docs/weights.md).
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from .errors import JobFileError, RunnerError
from .events import EventKind, EventStream
from .jobs import SCHEMA
from .network import load_module

EXIT_OWNER_DIED = 75
MARKER = "SYNTHETIC"


def run_task(raw: dict[str, Any], events: EventStream) -> None:
    """Do what a job file with an `op` asks for; raises on failure."""
    tasks: dict[str, Callable[[dict[str, Any]], None]] = {"synthetic": make_synthetic, "convert": _convert}
    if raw.get("schema") != SCHEMA:
        raise JobFileError(f"the job file has schema {raw.get('schema')!r}, this runner reads schema {SCHEMA}")
    task = tasks.get(str(raw["op"]))
    if task is None:
        raise JobFileError(f"'op' is {raw['op']!r}, one of {', '.join(tasks)} needed")
    if raw.get("feed") == "stdin":
        threading.Thread(target=_hold, name="lifeline", daemon=True).start()
    events.emit(EventKind.STAGE, None, name=str(raw["op"]))
    started_s = time.monotonic()
    task(raw)
    events.emit(EventKind.DONE, None, elapsed_s=round(time.monotonic() - started_s, 4))


def make_synthetic(raw: dict[str, Any]) -> None:
    """Let the network's own `synthetic.py` write stand-in weights below the weights folder."""
    code, weights = Path(raw["code"]), Path(raw["weights"])
    module = load_module(code, str(raw["network"]), "synthetic")
    make = getattr(module, "make", None)
    if not callable(make):
        raise RunnerError(f"{module.__file__} has no function make(weights, *, full)")
    make(weights, full=bool(raw["full"]))
    (weights / MARKER).write_text("Stand-in weights of faceorch smoke: random values, of no use for anything else.\n")


def _convert(raw: dict[str, Any]) -> None:
    from .convert import convert

    weights, out = Path(raw["weights"]), Path(raw["out"])
    for entry in cast("list[dict[str, Any]]", raw["files"]):
        convert(
            weights / entry["source"],
            out / entry["target"],
            key=entry["key"],
            half=entry["half"],
            trusted=bool(raw["sandboxed"]),
        )


def _hold() -> None:
    """Leave at once when stdin ends: then the host is dead, or wants this to stop."""
    import os

    for _ in sys.stdin.buffer:
        pass
    os._exit(EXIT_OWNER_DIED)
