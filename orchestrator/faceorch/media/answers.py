"""What `faceorch.media.child` says of an input, checked: it has decoded a file that may be anybody's."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from faceorch.errors import InputError

Count = Annotated[int, Meta(ge=1, le=2**30)]
Side = Annotated[int, Meta(ge=1, le=2**16)]


class PortraitRead(msgspec.Struct, tag="portrait", frozen=True):
    """A portrait, without its PNG, of which there are `bytes`."""

    bytes: Count
    source_sha256: str
    width: Side
    height: Side
    notes: tuple[str, ...]


class ClipRead(msgspec.Struct, tag="clip", frozen=True):
    """A clip, without its samples, of which there are `bytes`."""

    bytes: Count
    source_sha256: str
    sample_rate_hz: Count
    notes: tuple[str, ...]


class Refused(msgspec.Struct, tag="refused", frozen=True):
    """An input that cannot be used, and why."""

    message: str
    remedy: str


Kind = TypeVar("Kind", PortraitRead, ClipRead)


def parse(line: bytes, kind: type[Kind]) -> Kind | None:
    """Return the answer of that kind in a line, None when there is none; `InputError` when the input is refused."""
    try:
        answer = msgspec.json.decode(line, type=PortraitRead | ClipRead | Refused)
    except msgspec.DecodeError:
        return None
    if isinstance(answer, Refused):
        raise InputError(answer.message, answer.remedy)
    return answer if isinstance(answer, kind) else None
