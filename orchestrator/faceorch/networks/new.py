"""Creates a network's folder: a copy of the template, which is a working network, under a new name."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from faceorch.errors import InputError, OutputError
from faceorch.files import HALF_MADE, scratch, umask
from faceorch.networks.discover import NAME, Network, load_all, open_network
from faceorch.paths import absolute, docker_folder

TEMPLATE = Path(__file__).parent / "template" / "mynetwork"
_TITLE = "MyNetwork"
_LONGEST = 60  # letters of a name, which becomes that of files and images


def make_network(name: str, parent: Path) -> Network:
    """Create the folder `name` below `parent` and return its network; raise `InputError` for an invalid name."""
    if not NAME.fullmatch(name) or len(name) > _LONGEST:
        near = re.sub("[^a-z0-9]", "", name.lower()).lstrip("0123456789")[:_LONGEST]
        raise InputError(
            f"{name[:100]!r} cannot be a network's name: it must consist of lower-case letters and digits, "
            f"a letter first, {_LONGEST} at most",
            f"try {near}" if near else "choose another name",
        )
    known = load_all()
    if name in known:
        raise InputError(f"a network called {name} already exists: {known[name].folder}", "choose another name")
    if (docker_folder() / name).exists():
        raise InputError(f"the name {name} is reserved for a part of every image", "choose another name")
    target = absolute(parent) / name
    if os.path.lexists(target):
        raise InputError(f"{target} already exists", "choose another name, or another folder with --in")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with scratch(HALF_MADE, target.parent) as half_made:
            folder = half_made / name
            shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
            for path in [folder, *folder.rglob("*")]:
                path.chmod((0o777 if path.is_dir() else 0o666) & ~umask())
                if path.is_file():
                    text = path.read_text("utf-8")
                    path.write_text(text.replace(TEMPLATE.name, name).replace(_TITLE, name.capitalize()), "utf-8")
            folder.rename(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror}", "choose another folder with --in") from error
    return open_network(target)
