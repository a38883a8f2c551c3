"""The order of the house: what a room may import lies on a lower floor, so that no cycle of packages can come back."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from faceorch import paths

HOUSE = Path(paths.__file__).parent
# From the ground up. A room is a package, or a module beside them.
FLOORS = (
    ("errors", "words", "paths", "interrupts"),
    ("untrusted", "files", "bugs"),
    ("proc",),
    ("owner", "record", "uv"),
    ("media", "networks", "telemetry"),
    ("engine", "weights"),
    ("needs", "images"),
    ("runtimes",),
    ("runs",),
    ("judging", "report"),
    ("comparison",),
    ("smoke", "contract", "doctor", "housekeeping", "speech"),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(
    path for path in HOUSE.rglob("*.py") if path.parent != HOUSE or path.stem not in ("__init__", "__main__")
)


def room_of(path: Path) -> str:
    """Return the room that a file belongs to."""
    return path.relative_to(HOUSE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms that a file imports, wherever in the file it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "faceorch":
            parts = node.module.split(".")[1:]
            found |= {parts[0]} if parts else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("faceorch.")}
    return found - {"__version__"}


def test_every_room_has_its_floor() -> None:
    assert {room_of(path) for path in FILES} - {"docker", "assets"} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_imports_go_down(path: Path) -> None:
    room = room_of(path)
    upward = {found for found in imported_rooms(path) - {room} if FLOOR[found] >= FLOOR[room]}
    assert not upward, f"{room} is on floor {FLOOR[room]}, at or below {', '.join(sorted(upward))}"


def imported_files(path: Path) -> set[Path]:
    """Return the files of the house that a file imports when it is imported itself."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if not (isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "faceorch"):
            continue
        folder = HOUSE.joinpath(*node.module.split(".")[1:])
        module = folder.with_suffix(".py")
        names = {folder / f"{alias.name}.py" for alias in node.names}
        found |= {module} if module.is_file() else {file for file in names if file.is_file()}
        if not module.is_file() and not all(file.is_file() for file in names):
            found.add(folder / "__init__.py")
    return found - {path}


def test_no_file_imports_itself_by_way_of_others() -> None:
    TopologicalSorter({path: imported_files(path) for path in FILES}).prepare()  # raises CycleError, which names them
