"""requirements.in -> requirements.<base>.lock: exact versions with hashes, on top of the base's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from faceorch import proc
from faceorch.errors import BuildError, InputError, OutputError
from faceorch.files import scratch, write_atomically
from faceorch.networks.bases import load_bases, pick_base
from faceorch.networks.discover import Network
from faceorch.paths import docker_folder
from faceorch.uv import cause, find_uv, remedy, uv_environment

WANTED = "requirements.in"
# Dependencies of its packages that it does not use.
OVERRIDES = "overrides.txt"
_OPTIONS = (
    *("--quiet", "--universal", "--python-version", "3.10", "--generate-hashes", "--only-binary", ":all:"),
    *("--no-emit-index-url", "--no-annotate", "--custom-compile-command", "faceorch lock FOLDER"),
)


def lock(network: Network, base: str, *, upgrade: bool = False) -> Path:
    """Write the lock of `network` for `base` and return its path; a failure leaves the old one unchanged.

    The lock includes the base's, so that an image adds to the base's layers and replaces nothing in them. Without
    `upgrade`, versions of the old lock are kept where possible.
    """
    wanted, target = network.folder / WANTED, network.lock(pick_base(load_bases(), base).name)
    if not wanted.is_file():
        raise InputError(f"{wanted} does not exist", "create it with one package per line, and the reason after a #")
    shared = docker_folder() / "base" / f"requirements.{base}"
    overrides = network.folder / OVERRIDES
    try:
        with scratch("faceorch-lock-") as work:
            made = work / target.name
            if target.is_file() and not upgrade:
                shutil.copyfile(target, made)  # uv keeps the versions of an existing output file
            done = proc.run(
                [
                    *(find_uv(), "pip", "compile", *_OPTIONS, *(["--upgrade"] if upgrade else [])),
                    *(["--override", os.fspath(overrides)] if overrides.is_file() else []),
                    *("--constraint", f"{shared}.lock", f"{shared}.in", os.fspath(wanted)),
                    *("--output-file", os.fspath(made)),
                ],
                env=uv_environment(),
            )
            if done.code != 0:
                raise BuildError(
                    f"cannot lock {network.name} for {base}: {cause(done)}",
                    remedy(done, f"fix {wanted}, then run again"),
                )
            write_atomically(target, made.read_bytes())
    except OSError as error:
        raise OutputError(f"cannot lock {network.name}: {error}", "free some space in the temporary folder") from error
    return target
