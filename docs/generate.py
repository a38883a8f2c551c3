"""Write what is generated: docs/cli.md, references and schemas, and compose.yaml with its Dockerfile.

usage: python docs/generate.py [--check]        --check writes nothing and fails when something is out of date
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from keys import reference  # beside this file

from faceorch.cli.main import COMMANDS, cli
from faceorch.doctor import examine
from faceorch.images.compose import compose_file, dockerfile
from faceorch.images.recipe import SOURCE
from faceorch.networks.manifest import MANIFEST, Manifest
from faceorch.record.folder import json_schema
from faceorch.record.run import SCHEMA
from faceorch.record.schemas import published
from faceorch.weights.manifest import FILE_NAME as WEIGHTS
from faceorch.weights.manifest import Weights

DOCS = Path(__file__).parent

_YAML_FILES = (
    (
        MANIFEST,
        Manifest,
        "What a network is and needs, and which settings it takes. It is read strictly: an unknown key is an error. "
        "`faceorch new NAME` writes one that works.",
    ),
    (
        WEIGHTS,
        Weights,
        "The files that a network's inference needs, where each comes from, and its terms. A network without this file "
        "needs no weights. `faceorch weights lock NETWORK` fills in sizes and hashes that are not stated yet.",
    ),
)


def command_line() -> str:
    """Return docs/cli.md: the help of every command."""
    parts = ["# The command line\n", "Generated from `faceorch COMMAND --help` by `make docs`.\n"]
    top = click.Context(cli, info_name="faceorch", max_content_width=110, terminal_width=110)
    parts.append(_block(cli.get_help(top)))
    for name in COMMANDS:
        command = cli.get_command(top, name)
        assert command is not None
        parts.append(f"## faceorch {name}\n")
        parts += _helps(command, name, top)
    return "\n".join(parts)


def _helps(command: click.Command, name: str, parent: click.Context) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=110, terminal_width=110)
    parts = [_block(command.get_help(context))]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            assert found is not None
            parts += [f"### {context.command_path} {sub}\n", *_helps(found, sub, context)]
    return parts


def _block(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(["```text", *lines, "```", ""])


def keys() -> dict[Path, str]:
    """Return the schema and the reference of network.yaml and weights.yaml."""
    found = {}
    for name, kind, introduction in _YAML_FILES:
        stem = name.removesuffix(".yaml")
        schema = published(kind, f"{SOURCE}/docs/schema/{stem}-1.json")
        found[DOCS / "schema" / f"{stem}-1.json"] = json.dumps(schema, indent=2) + "\n"
        found[DOCS / "reference" / f"{stem}-yaml.md"] = reference(
            name, schema, f"../schema/{stem}-1.json", introduction
        )
    return found


def generated() -> dict[Path, str]:
    """Return every generated file with its content."""
    return {
        DOCS / "cli.md": command_line(),
        DOCS.parent / "compose.yaml": compose_file(),
        DOCS.parent / "docker" / "compose.Dockerfile": dockerfile(),
        DOCS / "schema" / f"run-{SCHEMA}.json": json.dumps(json_schema(), indent=2) + "\n",
        **keys(),
        DOCS / "schema" / "doctor-1.json": json.dumps(examine.json_schema(), indent=2) + "\n",
    }


def main() -> None:
    """Write the files, or check them."""
    stale = [path for path, text in generated().items() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"out of date: {', '.join(path.name for path in stale)}; run: make docs")
        return
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(generated()[path], "utf-8")
        print(path)


if __name__ == "__main__":
    main()
