"""The parts of faceorch_kit, the code that networks share. An image contains the parts that network.yaml declares."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

PACKAGE = "faceorch_kit"
_MAY_IMPORT = re.compile(rf"{PACKAGE}|\bfrom\s*\.")


def kit_parts(kit: Path) -> dict[str, Path]:
    """Return every part of the kit by name; a part is a module or a package."""
    found = [path for path in kit.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()]
    return {path.stem: path for path in sorted(found) if path.stem != "__init__"}


def kit_paths(kit: Path, uses: Iterable[str]) -> list[Path]:
    """Return the files of the parts in `uses`, of the parts that these import, and the package's `__init__.py`."""
    parts = kit_parts(kit)
    needed: set[str] = set()
    waiting = list(uses)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += imported_parts(parts[name], inside=True) & parts.keys()
    return [kit / "__init__.py", *(parts[name] for name in sorted(needed))] if needed else []


def imported_parts(root: Path, *, inside: bool = False) -> set[str]:
    """Return the parts that a file or a folder's files import; `inside` the kit, relative imports count too."""
    found: set[str] = set()
    for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
        dots = len(path.relative_to(root).parts) + 1 if root.is_dir() else 1  # from the file up to the kit
        source = path.read_text("utf-8")
        if _MAY_IMPORT.search(source) is None:  # parsing is dear, and most files import nothing of the kit
            continue
        for node in ast.walk(ast.parse(source, str(path))):
            found |= _parts(node, dots if inside else None)
    return found


def _parts(node: ast.AST, dots: int | None) -> set[str]:
    """Return the parts that one statement imports; a relative import with `dots` dots is from the kit."""
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        return {name[1] for name in names if name[0] == PACKAGE and len(name) > 1}
    if not isinstance(node, ast.ImportFrom):
        return set()
    module = node.module.split(".") if node.module else []
    if node.level == 0:
        if module[:1] != [PACKAGE]:
            return set()
        module = module[1:]
    elif node.level != dots:
        return set()
    return {module[0]} if module else {alias.name for alias in node.names}
