"""Checks of a network's files: nothing of it runs but its patches.py, which is loaded."""

from __future__ import annotations

import ast
import os
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from faceorch.contract.broken import Broken, need
from faceorch.images.recipe import make_recipe, upstream_arguments
from faceorch.networks.bases import load_bases, pick_base
from faceorch.networks.discover import NAME, Network
from faceorch.networks.kit import imported_parts
from faceorch.networks.lock import WANTED
from faceorch.networks.manifest import MANIFEST
from faceorch.networks.patches import patches_of
from faceorch.paths import docker_folder
from faceorch.weights.manifest import FILE_NAME, load_weights

_KIT = "COPY kit/faceorch_kit /opt/faceorch/kit/faceorch_kit"
# What only BuildKit reads, in the words of whoever wrote it.
_BUILDKIT_ONLY = {
    "RUN with options": r"^RUN\s+--",
    "COPY or ADD with --link, --chmod, --parents or --exclude": r"^(COPY|ADD)\s.*--(link|chmod|parents|exclude)",
    "a here-document": r"<<-?['\"]?\w",
    "a syntax line": r"^#\s*syntax\s*=",
}


def manifest_complete(network: Network) -> None:
    """Check that the manifest tells people what they need to choose."""
    manifest, file = network.manifest, network.folder / MANIFEST
    need(
        NAME.fullmatch(network.name),
        f"the folder is called {network.name!r}, lower-case letters and digits needed, a letter first",
        "rename the folder",
    )
    for key in ("title", "summary", "approach", "licence"):
        text = getattr(manifest, key)
        need(text and "\n" not in text, f"{key} is {text!r}, one line needed", f"fix {key} in {file}")
    for key in ("source", "head_motion", "fps") if manifest.role == "network" else ():
        found = manifest.expected is not None and getattr(manifest.expected, key)
        need(found, f"expected.{key} is missing", f"say in {file} what people may expect of it")
    needs = manifest.needs
    need(
        needs.gpu == (needs.vram_gb is not None),
        f"needs.gpu is {str(needs.gpu).lower()} and needs.vram_gb is {'missing' if needs.vram_gb is None else 'given'}",
        f"state both or neither in {file}",
    )
    need(needs.runtimes, "needs.runtimes is empty, docker or venv needed", f"name one in {file}")
    for base in needs.bases:
        pick_base(load_bases(), base)
    for key, setting in manifest.settings.items():
        need(setting.help.strip(), f"settings.{key}.help is empty", f"say in {file} what {key} does")


def folder_whole(network: Network) -> None:
    """Check that every file is there without which it cannot run."""
    missing = list(network.missing_files)
    missing += [] if (network.folder / WANTED).is_file() else [WANTED]
    judges = network.manifest.role == "judge"  # it measures what it can without its weights
    if (network.folder / FILE_NAME).is_file() and not network.stand_in.is_file() and not judges:
        missing.append(network.stand_in.relative_to(network.folder).as_posix())
    locks = all(name.endswith(".lock") for name in missing)
    remedy = _lock_command(network) if locks else "see the folder that `faceorch new NAME` makes"
    need(not missing, f"{', '.join(missing)} missing", remedy)


def runner_keeps_contract(network: Network) -> None:
    """Check that code/runner.py defines one subclass of Network with the methods that it must have.

    A judge defines the function begin(weights) in code/judge.py instead.
    """
    entry = network.entry
    try:
        tree = ast.parse(_text(network, entry))
    except (SyntaxError, ValueError) as error:
        raise Broken(f"{entry} is not Python: {error}", "fix the line") from error
    if network.manifest.role == "judge":
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        need("begin" in functions, f"{entry} has no function begin", f"define begin(weights) in {entry}")
        return
    classes = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(b).split(".")[-1] == "Network" for b in node.bases)
    ]
    need(
        len(classes) == 1,
        f"{entry} defines {len(classes)} subclasses of faceorch_runner.Network, 1 needed",
        "define one: class Name(Network)",
    )
    methods = {node.name for node in classes[0].body if isinstance(node, ast.FunctionDef)}
    for method in ("setup", "animate"):
        need(method in methods, f"{classes[0].name} has no method {method}", f"define {method} in {entry}")


def dockerfile_in_subset(network: Network) -> None:
    """Check that both builders take the Dockerfile, that it copies what is there, and that it leaves root."""
    if "docker" not in network.manifest.needs.runtimes:
        return
    text = _text(network, "Dockerfile")
    for what, sign in _BUILDKIT_ONLY.items():
        need(not re.search(sign, text, re.MULTILINE), f"Dockerfile: {what}, which only BuildKit reads", "do without it")
    words = list(_instructions(text))
    need(
        words[:2] == [("ARG", "BASE_IMAGE"), ("FROM", "${BASE_IMAGE}")],
        "Dockerfile does not begin with ARG BASE_IMAGE and FROM ${BASE_IMAGE}",
        "begin it so: faceorch says which base it stands on",
    )
    need(
        words[-1] == ("USER", "65534:65534"),
        f"Dockerfile ends with {' '.join(words[-1])}, USER 65534:65534 needed",
        "end it so: an image's default user is not root",
    )
    for base in network.manifest.needs.bases:
        if network.lock(base).is_file():
            _sources_exist(network, base, words)


def _sources_exist(network: Network, base: str, words: list[tuple[str, str]]) -> None:
    names = [name for name, _ in make_recipe(network, base).files]
    for word, rest in words:
        if word != "COPY" or rest.startswith("--from="):
            continue
        for source in [part for part in rest.split() if not part.startswith("--")][:-1]:
            path = re.sub(r"\$\{?BASE\}?", base, source).rstrip("/")
            need(
                any(name == path or name.startswith(f"{path}/") for name in names),
                f"Dockerfile copies {source}, which is not in what the image is built from",
                f"a network's own files begin with {network.name}/",
            )


def upstream_named_once(network: Network) -> None:
    """Check that upstream's address and commit stand in the manifest alone."""
    if "docker" not in network.manifest.needs.runtimes:
        return
    text, wanted = _text(network, "Dockerfile"), list(upstream_arguments(network))
    need(not re.search(r"[0-9a-f]{40}", text), "Dockerfile names a commit", f"name it in {MANIFEST}, under upstream")
    declared = re.findall(r"^ARG (UPSTREAM(?:_\d+)?)$", text, re.MULTILINE)
    cloned = re.findall(r'^RUN clone-upstream "\$\{(\w+)\}"', text, re.MULTILINE)
    need(
        declared == cloned == wanted,
        f"Dockerfile declares {', '.join(declared) or 'nothing'} and clones {', '.join(cloned) or 'nothing'}, "
        f"{', '.join(wanted) or 'nothing'} needed: {MANIFEST} has {len(wanted)} upstream",
        'for each: ARG UPSTREAM, and RUN clone-upstream "${UPSTREAM}" /opt/faceorch/upstream/NAME',
    )


def kit_declared(network: Network) -> None:
    """Check that the network declares the parts of the kit that its code imports."""
    try:
        imported = imported_parts(network.code)
    except (SyntaxError, ValueError) as error:
        raise Broken(f"code/ is not Python: {error}", "fix the line") from error
    declared = set(network.manifest.uses)
    need(
        declared == imported,
        f"uses is [{', '.join(sorted(declared))}], the code imports [{', '.join(sorted(imported))}]",
        f"uses: [{', '.join(sorted(imported))}] in {MANIFEST}",
    )
    if "docker" in network.manifest.needs.runtimes:
        copied = _KIT in _text(network, "Dockerfile").splitlines()
        need(copied == bool(declared), *_kit_line(copied))


def _kit_line(copied: bool) -> tuple[str, str]:
    if copied:
        return "Dockerfile copies faceorch_kit, of which nothing is used", f"remove {_KIT}"
    return "Dockerfile does not copy faceorch_kit, of which parts are used", f"add {_KIT}"


def packages_locked(network: Network) -> None:
    """Check that every package is pinned by hash, holds what its base has, and has a reason."""
    again = _lock_command(network)
    for base in network.manifest.needs.bases:
        lock = network.lock(base)
        pinned = _pins(lock, _text(network, lock.name), again)
        shared = docker_folder() / "base" / f"requirements.{base}.lock"
        lacking = _pins(shared, shared.read_text("utf-8"), again) - pinned
        need(not lacking, f"{lock.name} lacks {', '.join(sorted(lacking))}, which base {base} has", again)
    for line in _text(network, WANTED).splitlines():
        if line.strip() and not line.startswith(("#", "-")):
            need(line.partition("#")[2].strip(), f"{WANTED}: {line.strip()!r} has no reason", "say why after a #")


def _lock_command(network: Network) -> str:
    return shlex.join(["faceorch", "lock", os.fspath(network.folder)])


def _pins(lock: Path, text: str, again: str) -> set[str]:
    """Return `name==version` of every package of a lock."""
    found = set()
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        pin = re.match(r"[A-Za-z0-9._-]+==[^\s;]+", line)
        need(pin, f"{lock.name}: {line.split('--hash')[0].strip()!r} is not of the form name==version", again)
        assert pin is not None
        need(re.search(r"--hash=sha256:[0-9a-f]{64}", line), f"{lock.name}: {pin[0]} has no hash", again)
        found.add(pin[0])
    need(found, f"{lock.name} is empty", again)
    return found


def patches_load(network: Network) -> None:
    """Check that patches.py, if there is one, can be read, and is applied."""
    patches_of(network)
    if (network.folder / "patches.py").is_file() and "docker" in network.manifest.needs.runtimes:
        need(
            re.search(r"^RUN .*faceorch_patch", _text(network, "Dockerfile"), re.MULTILINE),
            "Dockerfile does not apply patches.py",
            "RUN PYTHONPATH=/opt/faceorch/patch python -m faceorch_patch /opt/faceorch/patches.py FOLDER",
        )


def weights_valid(network: Network) -> None:
    """Check that weights.yaml, if there is one, is valid and names only settings that there are."""
    load_weights(network)


def _text(network: Network, name: str) -> str:
    """Return the content of one of the network's files."""
    try:
        return (network.folder / name).read_text("utf-8")
    except FileNotFoundError:
        raise Broken(f"{name} is missing", "see the folder that `faceorch new NAME` makes") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Broken(f"{name} cannot be read: {error}", "save it as UTF-8 text") from error


def _instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield (instruction, rest) of a Dockerfile, continued lines joined."""
    for line in dockerfile.replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word and not word.startswith("#"):
            yield word.upper(), rest.strip()


CHECKS: dict[str, Callable[[Network], None]] = {
    "the manifest tells people what they need to choose": manifest_complete,
    "the folder is whole": folder_whole,
    "the runner is what the contract asks for": runner_keeps_contract,
    "the Dockerfile stays in what both builders take": dockerfile_in_subset,
    "upstream code is named in the manifest alone": upstream_named_once,
    "it declares the parts of the kit that its code imports": kit_declared,
    "every package is pinned by hash and has a reason": packages_locked,
    "its patches can be loaded": patches_load,
    "its weights are described": weights_valid,
}
