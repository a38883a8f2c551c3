"""Where a job's weights come from: the store, or stand-ins generated in the network's own environment."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from faceorch.record.request import Request
from faceorch.record.run import WeightFile
from faceorch.weights.store import Store


class Stored(Struct, frozen=True):
    """Verified weights: the network's folder (None: it needs none), and its files as the record lists them."""

    folder: Path | None
    files: tuple[WeightFile, ...] = ()


class StandIn(Struct, frozen=True):
    """Random weights with the right names and shapes, made before the job; `full`: in the real dimensions."""

    full: bool


Source = Stored | StandIn
NO_WEIGHTS = Stored(None)


def source_of(request: Request) -> Store | StandIn:
    """Return where the weights of a request's networks come from."""
    if request.stand_in is not None:
        return StandIn(full=request.stand_in.size == "full")
    return Store(None if request.weights is None else Path(request.weights))
