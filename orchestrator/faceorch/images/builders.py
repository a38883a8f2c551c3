"""Recipe -> image, through BuildKit where the Docker CLI has buildx, else with the engine's classic builder."""

from __future__ import annotations

import io
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from faceorch import proc
from faceorch.engine.client import endpoint, new_client
from faceorch.errors import BuildError, InputError
from faceorch.images.recipe import Recipe, labels_of

if TYPE_CHECKING:
    import subprocess

Builder = Literal["buildx", "classic"]

BUILD_NETWORK = "FACEORCH_BUILD_NETWORK"
# Build arguments that say from where things come and not what they are, and the variables that set them, first one
# first. They are no part of an image's identity: packages and code are checked against hashes, whoever serves them.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "UV_DEFAULT_INDEX": ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    "APT_MIRROR": ("FACEORCH_APT_MIRROR",),
    "UPSTREAM_MIRROR": ("FACEORCH_UPSTREAM_MIRROR",),
}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

_LAST_LINES = 20
_KEPT_LINES = 60
_STEP = re.compile(r"#\d+ (\[[^\]]*\d+/\d+\] .*|exporting .*)")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """How images are built; nothing of it changes what they are."""

    builder: Builder
    no_cache: bool = False
    ca_bundle: bytes = b""
    network: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, *, builder: Builder | None = None, no_cache: bool = False, ca_bundle: Path | None = None
    ) -> BuildOptions:
        """Return the options, completed from the environment."""
        env = os.environ
        sources = {
            name: next(env[variable] for variable in variables if env.get(variable))
            for name, variables in SOURCES.items()
            if any(env.get(variable) for variable in variables)
        }
        for name in _PROXIES:
            value = env.get(name) or env.get(name.lower())
            if value:
                sources[name] = sources[name.lower()] = value
        return cls(
            builder=builder or find_builder(),
            no_cache=no_cache,
            ca_bundle=_read_bundle(ca_bundle) if ca_bundle else b"",
            network=env.get(BUILD_NETWORK) or None,
            sources=sources,
        )


def _read_bundle(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"--ca-bundle {path}: {error.strerror}", "give a file of PEM certificates") from error
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InputError(f"--ca-bundle {path} holds no PEM certificate", "give a file of PEM certificates")
    return content


def find_builder() -> Builder:
    """Return `buildx` when the Docker CLI has that plugin, else `classic` (the engine's own, through the SDK)."""
    if shutil.which("docker") is None:
        return "classic"
    try:
        found = proc.run(["docker", "buildx", "version"])
    except OSError:
        return "classic"
    return "buildx" if found.code == 0 else "classic"


class Failed(BuildError):
    """A build that failed; `tail` holds the last lines of its output."""

    def __init__(self, message: str, remedy: str, tail: tuple[str, ...]) -> None:
        super().__init__(message, remedy)
        self.tail = tail


def build(
    recipe: Recipe,
    options: BuildOptions,
    *,
    log: Path,
    on_step: Callable[[str], None] = lambda _: None,
    on_process: Callable[[subprocess.Popen[str]], None] = lambda _: None,
) -> str:
    """Build the image and return its id; `Failed` carries the last lines and a remedy, `log` has everything.

    A network's parent must be there. `on_process` gets the process to end when the build is no longer wanted.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    # Each build has a client of its own: they run side by side, and a client is not made for that.
    with _staged(recipe, options) as context, new_client() as api:
        if options.builder == "buildx":
            tail = _buildx(recipe, options, context, log, on_step, on_process)
        else:
            tail = _classic(api, recipe, options, context, log, on_step)
        if tail is not None:
            raise explain(recipe.name, tail, log)
        return str(api.inspect_image(recipe.tag)["Id"])  # type: ignore[no-untyped-call]


@contextmanager
def _staged(recipe: Recipe, options: BuildOptions) -> Iterator[Path]:
    """Copy the context to a folder of its own, so that both builders see the same bytes, modes and times."""
    with tempfile.TemporaryDirectory(prefix="faceorch-build-") as name:
        folder = Path(name)
        for relative, path in recipe.files:
            target = folder / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        if options.ca_bundle and recipe.network is None:
            (folder / "base" / "ca-bundle.pem").write_bytes(options.ca_bundle)
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or _is_program(path) else 0o644)
            os.utime(path, (0, 0))
        yield folder


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _arguments(recipe: Recipe, options: BuildOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Return the build arguments that decide what the image is, and those that say from where its parts come."""
    text = dict(recipe.files)[recipe.dockerfile].read_text("utf-8")
    declared = set(re.findall(r"^ARG (\w+)", text, flags=re.MULTILINE))
    # Every builder knows the proxy variables without an ARG, and keeps them out of the image's history.
    sources = {k: v for k, v in options.sources.items() if k in declared or k.upper() in _PROXIES}
    return {k: v for k, v in recipe.arguments.items() if k in declared}, sources


def _buildx(
    recipe: Recipe,
    options: BuildOptions,
    context: Path,
    log: Path,
    on_step: Callable[[str], None],
    on_process: Callable[[subprocess.Popen[str]], None],
) -> list[str] | None:
    """Build through BuildKit; return None, or the last lines of a failed build."""
    fixed, sources = _arguments(recipe, options)
    # The builder `default` is the engine's own: it alone sees the engine's images, and so the network's base.
    arguments = ["docker", "--host", endpoint(), "buildx", "build", "--builder", "default"]
    arguments += ["--progress", "plain", "--load", "--file", str(context / recipe.dockerfile), "--tag", recipe.tag]
    for key, value in fixed.items():
        arguments += ["--build-arg", f"{key}={value}"]
    for key in sources:  # by name alone: a mirror's address may hold a password, and the command is logged
        arguments += ["--build-arg", key]
    for key, value in labels_of(recipe, "buildx").items():
        arguments += ["--label", f"{key}={value}"]
    arguments += ["--no-cache"] if options.no_cache else []
    arguments += ["--network", options.network] if options.network else []

    def line(text: str) -> None:
        if found := _STEP.match(text):
            on_step(found[1])

    done = proc.run(
        [*arguments, str(context)], log=log, env={**os.environ, **sources}, on_line=line, on_start=on_process
    )
    return None if done.code == 0 else list(done.tail)


def _classic(
    api: Any, recipe: Recipe, options: BuildOptions, context: Path, log: Path, on_step: Callable[[str], None]
) -> list[str] | None:
    """Build with the engine's classic builder; return None, or the last lines of a failed build."""
    import docker.errors

    fixed, sources = _arguments(recipe, options)
    tail: list[str] = []
    pending = ""  # the engine sends what a step prints in pieces, not in lines
    with log.open("a", encoding="utf-8") as file:
        try:
            stream: Iterator[dict[str, Any]] = api.build(
                fileobj=_tar(context),
                custom_context=True,
                dockerfile=recipe.dockerfile,
                tag=recipe.tag,
                buildargs={**sources, **fixed},
                labels=labels_of(recipe, "classic"),
                nocache=options.no_cache,
                network_mode=options.network,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for entry in stream:
                text = str(entry["stream"]) if "stream" in entry else _status(entry)
                file.write(text)
                *lines, pending = (pending + text).split("\n")
                tail = [*tail, *lines][-_KEPT_LINES:]
                for part in lines:
                    if part.startswith("Step "):
                        on_step(part)
                if "error" in entry:
                    return tail
        except docker.errors.APIError as error:  # refused before the first step: a base image that cannot be had
            file.write(f"{error.explanation}\n")
            return [*tail, str(error.explanation)]
    return None


def _status(entry: dict[str, Any]) -> str:
    """Return the line of an entry that is no output of a step: an error, or how far a pull is."""
    text = str(entry.get("error") or entry.get("status") or "")
    return f"{text}\n" if text else ""


def _tar(folder: Path) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False, filter=_as_root)
    buffer.seek(0)
    return buffer


def _as_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


# What a failed build's output says, and what to do. Matched as regular expressions, first row first.
_FREE = "free some disk: faceorch clean, docker system prune"
_GONE = "the base image is gone from its registry: give a mirror of it with --base-image"
_REFUSED = "the registry refused the base image: docker login, or give a mirror of it with --base-image"
_CHANGED = "a package is not the one that was locked: a mirror or a proxy changes packages"
_OFFLINE = f"containers have no network while building: try {BUILD_NETWORK}=host, or set HTTPS_PROXY"
_UNREACHABLE = "the registry cannot be reached: check the network, or give a mirror of the base with --base-image"
_UNTRUSTED = "a proxy signs what is downloaded: give its certificate authority with --ca-bundle"
_NO_PACKAGES = "packages cannot be downloaded: check the network, UV_DEFAULT_INDEX, FACEORCH_APT_MIRROR, HTTPS_PROXY"
REMEDIES = (
    ("no space left on device", _FREE),
    ("No space left on device", _FREE),
    ("manifest unknown", _GONE),
    ("not found: manifest", _GONE),
    ("sha256:[0-9a-f]+: not found", _GONE),
    ("pull access denied", _REFUSED),
    ("[Uu]nauthorized|no basic auth credentials", _REFUSED),
    ("toomanyrequests", "the registry limits downloads: docker login, wait, or give a mirror with --base-image"),
    ("DO NOT MATCH THE HASHES", _CHANGED),
    ("Hash mismatch", _CHANGED),
    ("CERTIFICATE_VERIFY_FAILED", _UNTRUSTED),
    ("invalid peer certificate", _UNTRUSTED),
    (
        "clone-upstream: commit",
        "check the network, or set FACEORCH_UPSTREAM_MIRROR to a server that has the repository",
    ),
    ("patches do not fit", "update faceorch: its patches were written for another commit of the upstream code"),
    ("Temporary failure in name resolution", _OFFLINE),
    ("Temporary failure resolving", _OFFLINE),
    ("dns error", _OFFLINE),
    ("dial tcp", _UNREACHABLE),
    ("Could not connect to|Failed to fetch|NewConnectionError|error sending request", _NO_PACKAGES),
    ("No matching distribution found", _NO_PACKAGES),
    ("i/o timeout", _UNREACHABLE),
)


# What builders add around the output of a step that failed.
_NOISE = re.compile(
    r"The command '.*' returned a non-zero code|Removing intermediate container|\s*--->"
    r"|(#\d+ )?ERROR: (failed to solve: )?(process|executor failed running)|executor failed running"
    r"|-{6,}$|\s*>\s*\[|\S*Dockerfile:\d+$|\s*\d+ \||View build details:"
    r"|#\d+ (\[internal\]|building with|transferring|resolve|sha256:|extracting|CACHED|DONE)"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # the classic builder ends the colour of stderr at the next thing it says
_PREFIX = re.compile(r"^(#\d+ (ERROR: )?)?(\d+\.\d+ )?")
_SUMMARY = "ERROR: failed to solve: "  # BuildKit's, around what it has said before


def explain(name: str, tail: list[str], log: Path) -> Failed:
    """Return the error that the last lines of a failed build mean."""
    # BuildKit says the output of the failed step once more, below a line.
    tail = [_COLOUR.sub("", line) for line in tail]
    once = tail[: tail.index("------")] if "------" in tail else tail
    lines = [_PREFIX.sub("", line.rstrip()) for line in once if line.strip() and not _NOISE.match(line)]
    if any(not line.startswith(_SUMMARY) for line in lines):
        lines = [line for line in lines if not line.startswith(_SUMMARY)]
    text = "\n".join(tail)
    remedy = next((remedy for sign, remedy in REMEDIES if re.search(sign, text)), f"see {log}")
    last = lines[-1].strip() if lines else "no output"
    return Failed(f"{name} was not built: {last[:300]}", remedy, tuple(lines[-_LAST_LINES:]))
