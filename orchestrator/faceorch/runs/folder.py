"""A new run folder: hidden while it is being made, published whole."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from faceorch.errors import OutputError, one_line
from faceorch.files import HALF_MADE, Refused, open_below, scratch, umask, write_atomically
from faceorch.media.clip import LoadedClip, write_clip
from faceorch.media.files import check_output_folder
from faceorch.media.portrait import LoadedPortrait, write_portrait
from faceorch.record.folder import RunFolder, new_run_id, now
from faceorch.record.run import ClipRecord, Inputs, PortraitRecord, Run

# A run needs room for the normalised inputs, the videos and their half-made copies, and the report.
_NEEDED_BYTES = 256 * 2**20
_TEXT_BYTES = 64 * 2**10


class NewFolder(Struct, frozen=True):
    """A folder that is being made at `path`; `id` is the name it will get below `out`, `inputs` are written already."""

    path: Path
    out: Path
    id: str
    inputs: Inputs

    def publish(self, run: Run) -> RunFolder:
        """Write the record and give the folder its name, or the next free one: a run folder appears whole."""
        RunFolder(self.path, run).save()
        record = RunFolder(self._rename(), run)
        if run.id != record.path.name:  # somebody else took the name meanwhile
            run.id = record.path.name
            record.save()
        return record

    def _rename(self) -> Path:
        self.path.chmod(0o777 & ~umask())
        for number in range(1, 1000):
            folder = (self.out / (self.id if number == 1 else f"{self.id}-{number}")).absolute()
            try:
                self.path.rename(folder)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    continue
                message = f"cannot make the folder {folder}: {error.strerror}"
                raise OutputError(message, "choose another --out") from error
            return folder
        raise OutputError(f"{self.out} holds a thousand runs of this second", "choose another --out")


@contextlib.contextmanager
def new_folder(out: Path, portrait: LoadedPortrait, clip: LoadedClip) -> Iterator[NewFolder]:
    """Yield a hidden folder below `out` that holds the inputs; what is left of it at the end is removed.

    Half-made folders of earlier runs that were killed are removed as well. Raises `OutputError`.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error.strerror}", "choose another --out") from error
    check_output_folder(out, needed_bytes=_NEEDED_BYTES)
    with scratch(HALF_MADE, out) as path:
        yield NewFolder(path, out, new_run_id(portrait.source, clip.source, now()), _write(path, portrait, clip))


def _write(folder: Path, loaded_portrait: LoadedPortrait, loaded_clip: LoadedClip) -> Inputs:
    """Write the inputs into the folder `inputs` of a run, and return what its record says of them."""
    (folder / "inputs").mkdir()
    portrait = write_portrait(loaded_portrait, folder / "inputs" / "portrait.png")
    clip = write_clip(loaded_clip, folder / "inputs" / "clip.wav")
    _keep_text(loaded_clip.source.with_suffix(".txt"), folder / "inputs" / "clip.txt")
    return Inputs(
        portrait=PortraitRecord(
            file="inputs/portrait.png",
            source=one_line(str(portrait.source)),
            source_sha256=portrait.source_sha256,
            sha256=portrait.sha256,
            width=portrait.width,
            height=portrait.height,
            notes=list(portrait.notes),
        ),
        clip=ClipRecord(
            file="inputs/clip.wav",
            source=one_line(str(clip.source)),
            source_sha256=clip.source_sha256,
            sha256=clip.sha256,
            duration_s=clip.duration_s,
            sample_rate_hz=clip.sample_rate_hz,
            notes=list(clip.notes),
        ),
    )


def _keep_text(source: Path, target: Path) -> None:
    """Keep what is said in the clip, when a text lies beside it under the clip's name: the report shows its words."""
    with contextlib.suppress(OSError, UnicodeDecodeError, Refused):
        with open_below(source.parent, source.name, limit=_TEXT_BYTES) as file:
            text = file.read().decode("utf-8")
        write_atomically(target, text.encode())
