"""Every command that a message, a help text or a page shows: a shell and faceorch's own parser take it as it stands."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from faceorch.cli.main import COMMANDS, cli
from tests.unit.test_pages import PAGES, ROOT

SOURCES = sorted((ROOT / "orchestrator" / "faceorch").rglob("*.py"))
# A command ends where its line does, or at what no command of ours has outside quotes.
_COMMAND = re.compile(rf"""\bfaceorch (?:{"|".join(COMMANDS)})\b(?:"[^"\n]*"|'[^'\n]*'|[^"'`,;)(#|<>\n])*""")
# What messages put in at run time.
_PLACES = {"words": "", "name": "baseline", "network.name": "baseline", "newest.name": "cu128"}


def groups(command: click.Command, path: str = "faceorch") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from groups(found, f"{path} {name}")


TREE = dict(groups(cli))


def told_by(source: Path) -> Iterator[str]:
    """Yield the texts of a module that are not docstrings, with values in the places of its expressions."""
    tree = ast.parse(source.read_text("utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            skipped |= {id(inner) for inner in ast.walk(node)}
        elif isinstance(node, ast.JoinedStr):
            skipped |= {id(inner) for inner in ast.walk(node) if inner is not node}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else _PLACES.get(ast.unparse(part.value), "baseline")  # type: ignore[attr-defined]
                for part in node.values
            )


def shown() -> dict[str, tuple[str, bool]]:
    """Return every command that is shown, where, and whether it is whole; prose also names parts of one."""
    texts = [(str(source.relative_to(ROOT)), text, True) for source in SOURCES for text in told_by(source)]
    for path, command in TREE.items():
        options = [option.help or "" for option in command.params if isinstance(option, click.Option)]
        texts += [(f"{path} --help", text, True) for text in (command.help or "", *options)]
    for page in PAGES:
        text = page.read_text("utf-8")
        fenced = r"^```[^\n]*\n(.*?)^```"
        texts += [(page.name, code, True) for code in re.findall(fenced, text, re.DOTALL | re.MULTILINE)]
        prose = re.sub(fenced, "", text, flags=re.DOTALL | re.MULTILINE)
        texts += [(page.name, code, False) for code in re.findall(r"`([^`\n]+)`", prose)]
    found: dict[str, tuple[str, bool]] = {}
    for where, text, whole in texts:
        text = re.sub(r"faceorch run \u2026", "faceorch run --image face.png --audio clip.wav", text)
        for match in _COMMAND.finditer(text.replace(" \u2026", "")):
            words = (
                re.split(r"\s{2,}|\s+->|[.:](?:\s|$)", match.group())[0] if '"' not in match.group() else match.group()
            )
            if "[" not in words:  # a line of usage
                found[words.strip()] = (where, whole or found.get(words.strip(), ("", False))[1])
    return found


SHOWN = shown()
LEAVES = {path: command for path, command in TREE.items() if not isinstance(command, click.Group)}


def test_they_are_found() -> None:
    for wanted in (
        "faceorch run --resume results/20260131-120000-face-clip",
        "faceorch run --resume results/RUN",
        'faceorch speak --text "Good evening. Here is the news." --seconds 15 -o clip.wav',
        "faceorch speak --engine espeak-ng --list-voices",
        "faceorch weights pull baseline",
        "faceorch weights rm --unused",
        "faceorch build baseline",
        "faceorch completion bash",
        "faceorch clean",
    ):
        assert wanted in SHOWN
    assert len(SHOWN) > 50


@pytest.mark.parametrize("words", sorted(SHOWN))
def test_each_is_parsed(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, whole = SHOWN[words]
    given: list[dict[str, Any]] = []
    for command in LEAVES.values():
        monkeypatch.setattr(command, "callback", lambda **named: given.append(named))
    done = CliRunner().invoke(cli, shlex.split(words)[1:])
    if isinstance(TREE.get(words), click.Group) or (
        not whole and re.search("Missing (arg|opt)|requires an arg", done.output)
    ):
        return
    assert done.exit_code == 0, f"{where}: {words}\n{done.output}"
    if whole and words.startswith("faceorch run ") and given:
        assert given[0]["resume"] or (given[0]["image"] and given[0]["audio"]), f"{where}: {words} is incomplete"


CHEAP = (
    "faceorch networks",
    "faceorch networks baseline",
    "faceorch networks baseline --patches",
    "faceorch weights ls",
    "faceorch weights verify",
    "faceorch weights rm --unused",
    "faceorch completion bash",
    "faceorch clean --dry-run",
    "faceorch top --json --once",
)


@pytest.mark.parametrize("words", CHEAP)
def test_the_cheap_ones_run(words: str, tmp_path: Path) -> None:
    assert words in SHOWN
    done = subprocess.run(
        ["/bin/sh", "-c", words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DOCKER_HOST": "unix:///nowhere.sock",
        },
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
