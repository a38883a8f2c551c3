"""Videos of anybody judged, without a run; and the judge's long check of itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from faceorch.errors import CannotRun, InputError, OutputError, one_line
from faceorch.files import scratch, write_atomically
from faceorch.judging.choose import Chosen, choose
from faceorch.judging.sitting import Order, Sitting, sit
from faceorch.media.clip import write_clip
from faceorch.media.files import check_output_folder
from faceorch.media.film import take_film
from faceorch.media.portrait import write_portrait
from faceorch.networks.discover import find_judge
from faceorch.paths import assets_folder
from faceorch.record.judgement import Judgement
from faceorch.record.reason import Reason
from faceorch.runs.events import Listener, Noted
from faceorch.runs.reading import Reading

_SCRATCH = "faceorch-judge-"
_STEM = 60  # characters of a video's name that its files are called by


class JudgedFilm(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one video; without a judgement, `error` says why."""

    video: Annotated[str, Meta(description="path as given")]
    judgement: Judgement | None = None
    error: str | None = None
    notes: list[str] = []


def judge_films(
    videos: Sequence[Path],
    portrait: Path,
    audio: Path,
    tell: Listener,
    *,
    output: Path | None = None,
    timeout_s: float | None = None,
    **how: Any,
) -> list[JudgedFilm]:
    """Judge videos that were made of one portrait and one clip; `how` is that of `choose`.

    `output` is where findings and series are kept. Raises `InputError` for an input or a video that cannot be used, and
    `CannotRun` when the judge finds nothing at all.
    """
    with Reading(portrait, audio) as reading, scratch(_SCRATCH) as work:
        chosen = _chosen(**how)
        loaded_portrait, loaded_clip = reading.result()
        kept_portrait = write_portrait(loaded_portrait, work / "portrait.png").path
        kept_clip = write_clip(loaded_clip, work / "clip.wav").path
        names = _names(videos)
        notes: dict[str, list[str]] = {}
        (work / "in").mkdir()
        for name, path in names.items():
            tell(Noted(network=None, text=f"reading {one_line(os.fspath(path))}"))
            _, notes[name] = take_film(path, work / "in" / f"{name}.mp4")
        order = Order(
            portrait=kept_portrait,
            clip=kept_clip,
            videos={name: work / "in" / f"{name}.mp4" for name in names},
            work=work,
            series={} if output is None else _kept(output, names),
            timeout_s=timeout_s,
            names={f"{name}.mp4": path.name for name, path in names.items()},
        )
        sitting = sit(chosen, order, tell)
    if sitting.interrupted:
        raise KeyboardInterrupt
    if sitting.reason is not None:
        raise CannotRun(sitting.reason.text, sitting.reason.remedy)
    found = [_film(name, path, sitting, notes[name], order) for name, path in names.items()]
    if output is not None:
        for name, film in zip(names, found, strict=True):
            write_atomically(output / f"{name}.json", msgspec.json.format(msgspec.json.encode(film), indent=2) + b"\n")
    return found


def self_check(tell: Listener, *, timeout_s: float | None = None, **how: Any) -> Sitting:
    """Let the judge check itself at length; `Sitting.reason` says what went wrong."""
    chosen, assets = _chosen(**how), assets_folder()
    with scratch(_SCRATCH) as work:
        order = Order(
            portrait=assets / "face.png",
            clip=assets / "clip.wav",
            videos={},
            work=work,
            timeout_s=timeout_s,
            full=True,
        )
        sitting = sit(chosen, order, tell)
    if sitting.interrupted:
        raise KeyboardInterrupt
    return sitting


def _chosen(**how: Any) -> Chosen:
    judge = find_judge()
    if judge is None:
        raise CannotRun("there is no judge (FACEORCH_JUDGE is off)", "unset FACEORCH_JUDGE")
    found = choose(judge, **how)
    if isinstance(found, Reason):
        raise CannotRun(found.text, found.remedy)
    return found


def _names(videos: Sequence[Path]) -> dict[str, Path]:
    """Return a plain name of its own for each video."""
    names: dict[str, Path] = {}
    for path in videos:
        stem = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in path.stem)[:_STEM]
        stem = stem.lstrip("._-") or "video"
        name, number = stem, 1
        while name in names:
            number += 1
            name = f"{stem}-{number}"
        names[name] = path
    return names


def _kept(output: Path, names: dict[str, Path]) -> dict[str, Path]:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {output}: {error.strerror}", "choose another -o") from error
    check_output_folder(output, needed_bytes=0)
    taken = [path for name in names if (path := output / f"{name}.parquet").exists()]
    if taken:
        raise InputError(f"{taken[0]} exists already", "choose another -o")
    return {name: output.absolute() / f"{name}.parquet" for name in names}


def _film(name: str, path: Path, sitting: Sitting, notes: list[str], order: Order) -> JudgedFilm:
    judgement, series = sitting.judgements.get(name), order.series.get(name)
    if judgement is not None and series is not None and series.is_file():
        judgement = replace(judgement, series=series.name)
    return JudgedFilm(
        video=one_line(os.fspath(path)),
        judgement=judgement,
        error=None if judgement is not None else sitting.refused.get(name, "the judge found nothing"),
        notes=[*notes, *sitting.notes],
    )
