"""Votes that people cast on the page: checked, kept in the run folder, and added up to a ranking with intervals.

The strengths are those of Bradley and Terry (Biometrika 39, 1952), found by Hunter's iteration (Annals of Statistics
32, 2004); a tie counts as half a win for both. Each network is shown with the share of votes that it would win against
the others on average. Intervals: 95 %, by drawing whole files anew (the votes of one person hang together), or, of
fewer than five files, single votes.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from faceorch.errors import InputError
from faceorch.files import Refused, open_below, own_folder, write_atomically
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus
from faceorch.record.run import Run

FOLDER = "votes"
_FILE_BYTES = 2**20
_MOST_FILES = 2000
_MOST_NETWORKS = 30
_DRAWS = 400
_ROUNDS, _SAME = 200, 1e-6
_ENOUGH_FILES = 5

_Name = Annotated[str, Meta(max_length=100)]


class Vote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One look at two videos."""

    left: _Name
    right: _Name
    winner: Literal["left", "right", "tie"]


class Ballot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: what one person voted on one run. `videos` are the hashes of the videos that were on the page."""

    faceorch_votes: Literal[1]
    run: Annotated[str, Meta(max_length=200)]
    videos: Annotated[dict[_Name, Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]], Meta(max_length=200)]
    votes: Annotated[list[Vote], Meta(max_length=2000)]


class Place(Struct, frozen=True):
    """One network in the ranking: the share of votes that it wins, with its interval, and how often it was seen."""

    network: str
    title: str
    share: float
    low: float
    high: float
    seen: int


class Ranking(Struct, frozen=True):
    """What all votes say together, the best first; `refused` are files in the folder that are not counted, and why."""

    places: list[Place]
    files: int
    votes: int
    refused: list[str]

    @property
    def clear(self) -> bool:
        """Whether the interval of the first lies apart from all others."""
        return len(self.places) > 1 and self.places[0].low > max(place.high for place in self.places[1:])


def keep(folder: RunFolder, files: Sequence[Path]) -> None:
    """Copy files of votes into the run folder, after checking that they are about its videos; each counts once."""
    if not files:
        return
    found = []
    for path in files:
        try:
            with open_below(path.absolute().parent.resolve(), path.name, limit=_FILE_BYTES) as file:
                data = file.read(_FILE_BYTES)
            read(data, folder.run)
        except (Refused, ValueError) as error:
            raise InputError(f"{path} holds no votes on this run: {error}", "save them anew from its page") from error
        found.append(data)
    own_folder(folder.path / FOLDER)
    for data in found:
        write_atomically(folder.path / FOLDER / f"{hashlib.sha256(data).hexdigest()[:16]}.json", data)


def read(data: bytes, run: Run) -> Ballot:
    """Return the votes of a file; `ValueError` when they are not votes on the videos of this run."""
    try:
        ballot = msgspec.json.decode(data, type=Ballot)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if len({name for vote in ballot.votes for name in (vote.left, vote.right)}) > _MOST_NETWORKS:
        raise ValueError(f"they are on more than {_MOST_NETWORKS} networks")
    videos = {job.network: job.video.sha256 for job in run.jobs if job.video and job.status is JobStatus.DONE}
    if ballot.run != run.id:
        raise ValueError(f"they are about run {ballot.run[:60]!r}")
    for vote in ballot.votes:
        if vote.left == vote.right:
            raise ValueError(f"{vote.left[:60]!r} is compared with itself")
        for name in (vote.left, vote.right):
            if name not in videos:
                raise ValueError(f"{name[:60]!r} has no video in this run")
            if ballot.videos.get(name) != videos[name]:
                raise ValueError(f"the video of {name!r} is another one by now")
    return ballot


def ranking(folder: RunFolder) -> Ranking | None:
    """Return what the votes in a run folder say together; None when there are none."""
    path = folder.path / FOLDER
    names = sorted(file.name for file in path.glob("*.json"))[:_MOST_FILES] if path.is_dir() else []
    ballots, refused = [], []
    for name in names:
        try:
            with open_below(folder.path, f"{FOLDER}/{name}", limit=_FILE_BYTES) as file:
                ballots.append(read(file.read(_FILE_BYTES), folder.run))
        except (Refused, ValueError) as error:
            refused.append(f"{name}: {error}")
    ballots = [ballot for ballot in ballots if ballot.votes]
    if not ballots:
        return Ranking([], 0, 0, refused) if refused else None
    titles = {job.network: job.title for job in folder.run.jobs}
    return Ranking(places(ballots, titles), len(ballots), sum(len(ballot.votes) for ballot in ballots), refused)


Tally = dict[tuple[int, int], float]  # (one, other) -> how often one won against the other


def places(ballots: Sequence[Ballot], titles: Mapping[str, str]) -> list[Place]:
    """Return every network that was voted on, the best first. The same votes always give the same intervals."""
    votes = [vote for ballot in ballots for vote in ballot.votes]
    names = sorted({name for vote in votes for name in (vote.left, vote.right)})
    index = {name: at for at, name in enumerate(names)}
    shares = win_shares([_tally(votes, index)], len(names))
    groups = [ballot.votes for ballot in ballots] if len(ballots) >= _ENOUGH_FILES else [[vote] for vote in votes]
    tallies = [_tally(group, index) for group in groups]
    luck = random.Random(0)
    draws = [win_shares(luck.choices(tallies, k=len(tallies)), len(names)) for _ in range(_DRAWS)]
    seen = Counter(name for vote in votes for name in (vote.left, vote.right))
    made = []
    for name, at in index.items():
        drawn = sorted(draw[at] for draw in draws)
        low, high = drawn[round(0.025 * _DRAWS)], drawn[round(0.975 * _DRAWS) - 1]
        share = shares[at]
        made.append(Place(name, titles.get(name, name), share, min(low, share), max(high, share), seen[name]))
    return sorted(made, key=lambda place: -place.share)


def _tally(votes: Sequence[Vote], index: Mapping[str, int]) -> Tally:
    found: Tally = {}
    for vote in votes:
        left, right = index[vote.left], index[vote.right]
        won = {"left": 1.0, "right": 0.0, "tie": 0.5}[vote.winner]
        found[left, right] = found.get((left, right), 0.0) + won
        found[right, left] = found.get((right, left), 0.0) + 1 - won
    return found


def win_shares(tallies: Sequence[Tally], count: int) -> list[float]:
    """Return for each network the share of votes that it wins against the others on average, from 0 to 1.

    Every pair has one tie more than was voted: without it, one that always won would be infinitely strong.
    """
    wins = [[0.5 if one != other else 0.0 for other in range(count)] for one in range(count)]
    for tally in tallies:
        for (one, other), won in tally.items():
            wins[one][other] += won
    others = [[other for other in range(count) if other != one] for one in range(count)]
    strength = [1.0] * count
    for _ in range(_ROUNDS):
        fresh = []
        for one in range(count):
            met = sum((wins[one][at] + wins[at][one]) / (strength[one] + strength[at]) for at in others[one])
            fresh.append(sum(wins[one]) / met)
        total = sum(fresh)
        before, strength = strength, [value * count / total for value in fresh]
        if max(abs(new - old) for new, old in zip(strength, before, strict=True)) < _SAME:
            break
    return [
        sum(strength[one] / (strength[one] + strength[at]) for at in others[one]) / max(1, count - 1)
        for one in range(count)
    ]
