"""The contract that every network's folder keeps, as checks: of its files, and of what it makes where it can run."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from faceorch.contract.broken import Broken
from faceorch.contract.making import Maker, why_not_here
from faceorch.contract.reading import CHECKS
from faceorch.errors import UserError
from faceorch.networks.discover import Network


class Result(Struct, frozen=True):
    """What one check found: `broken` says what is wrong, `skipped` why it was not made."""

    check: str
    broken: Broken | None = None
    skipped: str = ""


def examine(network: Network) -> Iterator[Result]:
    """Yield the result of every check, in the order in which whoever writes a network fixes them."""
    whole = True
    for name, check in CHECKS.items():
        try:
            check(network)
        except Broken as broken:
            whole = False
            yield Result(name, broken)
        except UserError as error:
            whole = False
            yield Result(name, Broken(error.message, error.remedy))
        else:
            yield Result(name)
    reason = why_not_here(network) if whole else "fix what is above first"
    with Maker(network) as maker:
        for name, make in maker.checks.items():
            if reason:
                yield Result(name, skipped=reason)
                continue
            try:
                skipped = make()
            except Broken as broken:
                yield Result(name, broken)
            except UserError as error:
                yield Result(name, Broken(error.message, error.remedy))
            else:
                yield Result(name, skipped=skipped)
