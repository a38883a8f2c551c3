"""The page's style sheet and script, put together from `page/` when a page is written: no build step, no package."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
STYLES = ("base.css", "looking.css", "tables.css", "judgement.css", "charts.css", "vote.css", "print.css")
ENTRY = "main.js"
_IMPORT = re.compile(r'^import \{ ([\w, ]+) \} from "\./(\w+)\.js";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:async )?(?:class|function|const) (\w+)", re.MULTILINE)


@cache
def styles() -> str:
    """Return the whole style sheet."""
    return "\n".join((FOLDER / name).read_text("utf-8") for name in STYLES)


@cache
def script() -> str:
    """Return the whole script: every module as a function of its own, in the order in which they need each other.

    A page that is opened from a file cannot import other files. Modules may import names from their neighbours, and
    export classes, functions and constants; nothing else of the module syntax is understood.
    """
    found: dict[str, str] = {}
    _collect(ENTRY.removesuffix(".js"), found)
    return "".join(found.values())


def _collect(name: str, found: dict[str, str]) -> None:
    if name in found:
        return
    text = (FOLDER / f"{name}.js").read_text("utf-8")
    for needed in _IMPORT.findall(text):
        _collect(needed[1], found)
    exported = ", ".join(_EXPORT.findall(text))
    body = _IMPORT.sub(lambda line: f"const {{ {line[1]} }} = module_{line[2]};\n", text)
    body = re.sub(r"^export ", "", body, flags=re.MULTILINE)
    found[name] = f"const module_{name} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"


def allowed(text: str) -> str:
    """Return the word by which a content security policy allows exactly this inline script or style sheet."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
