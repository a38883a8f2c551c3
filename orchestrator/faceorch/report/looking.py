"""The first part of the page: the portrait, the videos, the clip, and what each picture's caption says."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from faceorch import media
from faceorch.errors import OutputError
from faceorch.files import Refused, open_below
from faceorch.record.judgement import Box
from faceorch.record.run import Job, Run
from faceorch.report.costs import running_s
from faceorch.report.sound import Sound, read_sound
from faceorch.words import duration, size

# Browsers take longer over a larger page than people wait.
EMBED_BYTES = 400 * 2**20
TEXT_FILE = "inputs/clip.txt"
_PORTRAIT_BYTES = 200 * 2**20
_PORTRAIT_SIDE, _POSTER_SIDE = 1024, 640
_NAME = re.compile("[a-z][a-z0-9]*")
_REGIONS = ("face", "eyes", "mouth")


@dataclass(frozen=True, slots=True)
class Shown:
    """A finished video: its place, or why it cannot be shown. `boxes` are where the judge found parts of the face."""

    job: Job
    took_s: float | None = None
    source: str | None = None
    poster: bytes | None = None
    missing: str | None = None

    @property
    def poster_url(self) -> str | None:
        """The poster as it stands in the page."""
        return None if self.poster is None else data_url(self.poster, "image/jpeg")

    @property
    def poster_file(self) -> str | None:
        """Name of the poster in the run folder; None for a name that is none: the record may be anybody's."""
        return f"{self.job.network}.jpg" if _NAME.fullmatch(self.job.network) else None

    @property
    def cost(self) -> str:
        """What it cost, for its caption."""
        used = self.job.metrics.get("vram_peak_bytes")
        parts = [duration(self.took_s)]
        parts += [size(used.value)] if used is not None and used.value is not None else []
        return " · ".join(parts)

    @property
    def boxes(self) -> list[tuple[str, str]]:
        """Each part of the face with its place: `left,top,width,height` as shares of the picture."""
        found = self.job.judgement.boxes if self.job.judgement is not None else {}
        return [(region, _box(found[region])) for region in _REGIONS if region in found]


@dataclass(frozen=True, slots=True)
class Looking:
    """What there is to look at."""

    portrait: str | None
    videos: list[Shown]
    sound: Sound | None

    @property
    def playable(self) -> list[Shown]:
        """The videos that are there."""
        return [shown for shown in self.videos if shown.source]


def look(folder: Path, run: Run, done: list[Job], *, embed: bool) -> Looking:
    """Read what there is to look at from a run folder; with `embed`, the videos come into the page."""
    total = sum(job.video.bytes for job in done if job.video)
    if embed and total > EMBED_BYTES:
        raise OutputError(
            f"the videos have {total / 2**20:.0f} MiB, {EMBED_BYTES // 2**20} MiB at most go into one file",
            "use --zip instead",
        )
    sound = read_sound(folder, run.inputs.clip.file, TEXT_FILE)
    at_s = 0.0 if sound is None else sound.loudest_s
    return Looking(
        portrait=_portrait_url(folder, run.inputs.portrait.file),
        videos=[_shown(folder, job, running_s(job, run.request), embed=embed, at_s=at_s) for job in done],
        sound=sound,
    )


def _shown(folder: Path, job: Job, took_s: float | None, *, embed: bool, at_s: float) -> Shown:
    assert job.video is not None
    name, limit = job.video.file, EMBED_BYTES if embed else media.VIDEO_BYTES
    try:
        with open_below(folder, name, limit=limit) as file:
            poster = media.still(file, at_s=at_s, side=_POSTER_SIDE)
            file.seek(0)
            source = data_url(file.read(limit), "video/mp4") if embed else quote(name)
    except (Refused, OSError) as error:
        return Shown(job, took_s, missing=f"the run folder no longer holds its video: {error}")
    return Shown(job, took_s, source, poster)


def _portrait_url(folder: Path, name: str) -> str | None:
    """Return the portrait at the size in which the page shows it: the run folder holds the whole one."""
    try:
        with open_below(folder, name, limit=_PORTRAIT_BYTES) as file:
            picture = media.thumbnail(file, side=_PORTRAIT_SIDE)
    except (Refused, OSError):
        return None
    return None if picture is None else data_url(picture, "image/jpeg")


def data_url(data: bytes, kind: str) -> str:
    """Return data as an address that holds all of it."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _box(box: Box) -> str:
    return ",".join(f"{share:.4f}" for share in (box.left, box.top, box.width, box.height))
