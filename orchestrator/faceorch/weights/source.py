"""Where a job's weights come from: the store, or stand-ins generated in the network's own environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from faceorch.record.run import WeightFile


@dataclass(frozen=True, slots=True)
class Stored:
    """Verified weights: the network's folder (None: it needs none), and its files as the record lists them."""

    folder: Path | None
    files: tuple[WeightFile, ...] = ()


@dataclass(frozen=True, slots=True)
class StandIn:
    """Random weights with the right names and shapes, made before the job; `full`: in the real dimensions."""

    full: bool


Source = Stored | StandIn
NO_WEIGHTS = Stored(None)
