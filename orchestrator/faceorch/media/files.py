"""What portraits, clips and output folders have in common as files."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path

from faceorch.errors import InputError, OutputError
from faceorch.files import HALF_MADE

_ADDRESS = re.compile(r"(https?|ftp|s3|gs):/+(.*)", re.IGNORECASE)
# A portrait of 64 megapixels in 16 bits takes less, and so do ten minutes of sound in any form, with a phone's video.
MOST_BYTES = {"image": 512 * 2**20, "audio": 2 * 2**30}


def read_input(path: Path, what: str) -> bytes:
    """Return the bytes of an input file; `InputError` in one line when it is not a readable, non-empty file.

    `what` is the option's word for it: "image" or "audio". It is not read when it is larger than `MOST_BYTES`.
    """
    limit = MOST_BYTES[what]
    remedy = f"name the {what} file with --{what}"
    if (address := _ADDRESS.match(str(path))) is not None:
        url = f"{address[1]}://{address[2]}"  # a path has lost one of its slashes
        raise InputError(f"{url} is an address, a file is needed", f"download it first: curl --remote-name {url}")
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise InputError(f"{path} is a folder, an {what} file is needed", remedy)
        if not stat.S_ISREG(mode):
            raise InputError(f"{path} is not a regular file", remedy)
        with path.open("rb") as file:
            data = b"" if os.fstat(file.fileno()).st_size > limit else file.read(limit + 1)
            size = max(len(data), os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {path}: {reason}", remedy) from error
    if size > limit:
        found, most = f"{size / 2**20:.0f} MiB", f"{limit / 2**20:.0f} MiB"
        raise InputError(f"{path} has {found}, at most {most} are read", f"use a smaller {what} file")
    if not data:
        raise InputError(f"{path} is empty (0 bytes)", "copy or download it again")
    return data


def check_output_folder(path: Path, *, needed_bytes: int) -> None:
    """Raise `OutputError` when nothing can be written to the folder `path`, or less than `needed_bytes`."""
    remedy = "choose another folder with --out"
    if not path.is_dir():
        raise OutputError(f"{path} is not a folder", remedy)
    free = shutil.disk_usage(path).free
    if free < needed_bytes:
        raise OutputError(
            f"{path} has {free / 2**20:.0f} MiB free, {needed_bytes / 2**20:.0f} MiB needed",
            "free some space, or choose another folder with --out",
        )
    try:
        with tempfile.TemporaryFile(dir=path, prefix=HALF_MADE):
            pass
    except OSError as error:
        raise OutputError(f"cannot write to {path}: {error.strerror}", remedy) from error
