"""Write what is generated: pages and schemas of docs/, and compose.yaml with its Dockerfile.

usage: python docs/generate.py [--check]        --check writes nothing and fails when something is out of date
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import click
from keys import reference  # beside this file

from faceorch.cli.main import COMMANDS, EXIT_BUG, EXIT_INTERRUPTED, cli
from faceorch.cli.run import EXIT_SOME_FAILED
from faceorch.doctor import examine
from faceorch.doctor.disks import NETWORK_IMAGE_GB
from faceorch.errors import UserError
from faceorch.images.compose import compose_file, dockerfile
from faceorch.images.recipe import SOURCE
from faceorch.networks.bases import Base, load_bases
from faceorch.networks.discover import Network, load_networks
from faceorch.networks.manifest import MANIFEST, Manifest
from faceorch.paths import docker_folder
from faceorch.record.folder import json_schema
from faceorch.record.run import SCHEMA
from faceorch.record.schemas import published
from faceorch.weights.manifest import FILE_NAME as WEIGHTS
from faceorch.weights.manifest import Weights, load_weights
from faceorch.words import size

DOCS = Path(__file__).parent
REFERENCE = DOCS / "reference"

# What is not an error that a user can meet: those have their codes and their words in faceorch/errors.py.
_EXIT_CODES = {
    0: "Everything that was asked for is done; for `run` and `smoke`: every network that ran has made a video.",
    EXIT_SOME_FAILED: "It went to its end, and part of it failed: for `run` and `smoke` at least one network, for "
    "`doctor` a check, for `clean` a removal. The output says which.",
    UserError.exit_code: "The command line is wrong.",
    EXIT_BUG: "A bug of faceorch. The last line names a log with all that a report of it needs.",
    EXIT_INTERRUPTED: "Interrupted: Ctrl-C, or a polite signal.",
}

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
    """Return docs/reference/command-line.md: the help of every command."""
    parts = ["# The command line\n", "Generated from `faceorch COMMAND --help` by `make docs`.\n"]
    top = click.Context(cli, info_name="faceorch", terminal_width=110, **cli.context_settings)
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


def exit_codes() -> str:
    """Return docs/reference/exit-codes.md: every code that a command may end with."""
    codes = dict(_EXIT_CODES)
    for kind in UserError.__subclasses__():
        assert kind.exit_code not in codes, kind
        codes[kind.exit_code] = (kind.__doc__ or "").strip()
    lines = [
        "# Exit codes\n",
        "Generated from the code by `make docs`.\n",
        "An error prints one line with what was found and what is needed, and one that begins with `try:`.\n",
        "`run` and `smoke` check everything first: with 2 to 14 nothing was started, and nothing is left behind.",
        "One exception: a run folder that can no longer be written ends a run with 4. After that, 70 or 130 the folder",
        "holds what was finished, and `faceorch run --resume` continues.\n",
        "| code | meaning |",
        "|---:|---|",
        *(f"| {code} | {codes[code]} |" for code in sorted(codes)),
    ]
    return "\n".join(lines) + "\n"


_REQUIREMENTS = re.compile(r"(<!-- requirements -->\n).*(<!-- /requirements -->\n)", re.DOTALL)


def install() -> str:
    """Return docs/start/install.md with the table of what each network needs, as the manifests say it."""
    bases = load_bases()
    lines = [
        "| network | GPU memory | main memory | image: base, and its own | weights, default settings |",
        "|---|---|---|---|---|",
        *(_requirements(network, bases) for network in load_networks([docker_folder()]).values()),
    ]
    text = (DOCS / "start" / "install.md").read_text("utf-8")
    return _REQUIREMENTS.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text)


def _requirements(network: Network, bases: Mapping[str, Base]) -> str:
    needs, manifest = network.manifest.needs, load_weights(network)
    if network.missing_files:
        image = weights = "not finished yet"
    else:
        stand = ", ".join(f"{name} {bases[name].disk_gb:g} GB" for name in needs.bases)
        image = f"{stand}; up to {NETWORK_IMAGE_GB:g} GB"
        files = () if manifest is None else manifest.needed(network.settings({}))
        weights = size(sum(file.size for file in files)) if files else "none"
    vram = f"{needs.vram_gb:g} GB" if needs.gpu and needs.vram_gb else "none"
    return f"| {network.manifest.title} | {vram} | {needs.ram_gb:g} GB | {image} | {weights} |"


def keys() -> dict[Path, str]:
    """Return the schema and the reference of network.yaml and weights.yaml."""
    found = {}
    for name, kind, introduction in _YAML_FILES:
        stem = name.removesuffix(".yaml")
        schema = published(kind, f"{SOURCE}/docs/reference/schema/{stem}-1.json")
        found[REFERENCE / "schema" / f"{stem}-1.json"] = json.dumps(schema, indent=2) + "\n"
        found[REFERENCE / f"{stem}-yaml.md"] = reference(name, schema, f"schema/{stem}-1.json", introduction)
    return found


def generated() -> dict[Path, str]:
    """Return every generated file with its content."""
    return {
        REFERENCE / "command-line.md": command_line(),
        REFERENCE / "exit-codes.md": exit_codes(),
        DOCS / "start" / "install.md": install(),
        DOCS.parent / "compose.yaml": compose_file(),
        DOCS.parent / "docker" / "compose.Dockerfile": dockerfile(),
        REFERENCE / "schema" / f"run-{SCHEMA}.json": json.dumps(json_schema(), indent=2) + "\n",
        REFERENCE / "schema" / "doctor-1.json": json.dumps(examine.json_schema(), indent=2) + "\n",
        **keys(),
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
