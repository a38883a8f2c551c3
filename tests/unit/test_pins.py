"""Everything that goes into an image is pinned: no FROM without a digest, no package without a hash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from faceorch.networks.bases import load_bases
from faceorch.networks.discover import load_all
from faceorch.paths import docker_folder

DOCKER = docker_folder()
DOCKERFILES = sorted([*DOCKER.glob("*/Dockerfile"), *DOCKER.glob("*.Dockerfile")])
LOCKS = sorted(DOCKER.glob("*/*.lock"))
WANTED = sorted(DOCKER.glob("*/*.in"))
# What the images may stand on; the venv runtime runs on more, and nothing here depends on the patch version.
PYTHONS = ("3.10", "3.11")
BUILDKIT_ONLY = (r"^RUN\s+--", r"^(COPY|ADD)\s.*--(link|chmod|parents|exclude)", r"<<-?['\"]?\w", r"^#\s*syntax\s*=")


def relative(path: Path) -> str:
    return path.relative_to(DOCKER).as_posix()


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Yield (instruction, rest) of a Dockerfile, continued lines joined."""
    for line in re.sub(r"\\\n", " ", dockerfile).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word and not word.startswith("#"):
            yield word.upper(), rest.strip()


def unpinned(dockerfile: str) -> list[str]:
    """Return the images that a Dockerfile names without a digest."""
    stages: set[str] = set()
    found = []
    for word, rest in instructions(dockerfile):
        if word == "ARG" and rest.startswith("BASE_IMAGE=") and "@sha256:" not in rest:
            found.append(rest)
        if word == "FROM":
            name, _, stage = re.sub(r"--platform=\S+\s+", "", rest).partition(" AS ")
            if "@sha256:" not in name and name != "${BASE_IMAGE}" and name not in stages:
                found.append(name)
            stages.add(stage.strip())
        if word == "COPY" and (source := re.match(r"--from=(\S+)", rest)):
            found += [source[1]] if source[1] not in stages and "@sha256:" not in source[1] else []
    return found


def test_a_dockerfile_without_digests_is_noticed() -> None:
    text = "ARG BASE_IMAGE=ubuntu:22.04\nFROM ${BASE_IMAGE} AS one\nFROM one\nFROM debian:12\nCOPY --from=uv:1 a b\n"
    assert unpinned(text) == ["BASE_IMAGE=ubuntu:22.04", "debian:12", "uv:1"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=relative)
def test_every_image_is_named_by_digest(path: Path) -> None:
    assert unpinned(path.read_text("utf-8")) == []


@pytest.mark.parametrize("path", DOCKERFILES, ids=relative)
def test_both_builders_can_read_every_dockerfile(path: Path) -> None:
    text = path.read_text("utf-8")
    assert [sign for sign in BUILDKIT_ONLY if re.search(sign, text, flags=re.MULTILINE)] == []


@pytest.mark.parametrize("path", [p for p in DOCKERFILES if p.parent.name not in ("base", "docker")], ids=relative)
def test_a_network_stands_on_the_base_and_leaves_root(path: Path) -> None:
    words = list(instructions(path.read_text("utf-8")))
    assert words[:2] == [("ARG", "BASE_IMAGE"), ("FROM", "${BASE_IMAGE}")]
    assert words[-1] == ("USER", "65534:65534")


def locked(text: str) -> list[tuple[Requirement, int]]:
    """Return the requirements of a lock, each with the number of its hashes."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        words, *hashes = re.split(r"\s--hash=sha256:[0-9a-f]{64}(?=\s|$)", line)
        if words.strip() and not words.lstrip().startswith("#"):
            found.append((Requirement(words.strip()), len(hashes)))
    return found


@pytest.mark.parametrize("path", LOCKS, ids=relative)
def test_every_locked_package_has_one_version_and_hashes(path: Path) -> None:
    requirements = locked(path.read_text("utf-8"))
    assert requirements
    for requirement, hashes in requirements:
        assert requirement.url is None
        assert [spec.operator for spec in requirement.specifier] == ["=="]
        assert hashes > 0, f"{requirement} has no hash"


def test_a_lock_line_without_a_hash_is_noticed() -> None:
    digest = "0" * 64
    text = f"a==1 \\\n    --hash=sha256:{digest} \\\n    --hash=sha256:{digest}\nb==2 ; python_version < '3.11'\n"
    assert [(r.name, hashes) for r, hashes in locked(text)] == [("a", 2), ("b", 0)]


def pins(path: Path, python: str) -> dict[str, str]:
    """Return package -> version of a lock on Linux with that Python."""
    where = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    where |= {"platform_machine": "x86_64", "platform_system": "Linux", "os_name": "posix"}
    where |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    found: dict[str, str] = {}
    for requirement, _ in locked(path.read_text("utf-8")):
        if requirement.marker is None or requirement.marker.evaluate(where):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{name} has two versions"
            (spec,) = requirement.specifier
            found[name] = spec.version
    return found


def wanted(path: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


@pytest.mark.parametrize("path", WANTED, ids=relative)
def test_every_requirement_says_why(path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    assert [line for line in lines if not line.partition("#")[2].strip()] == []


def unmet(requirements: list[Requirement], found: dict[str, str]) -> list[str]:
    """Return the requirements that the pins of a lock do not meet."""
    return [
        str(r)
        for r in requirements
        if not r.specifier.contains(found.get(canonicalize_name(r.name), "0.dev0"), prereleases=True)
        or canonicalize_name(r.name) not in found
    ]


def pairs() -> list[tuple[Path, Path]]:
    """Return every .in with each lock that is made from it."""
    base = DOCKER / "base"
    found = [(base / "tools.in", base / "tools.lock")]
    found += [(p, p.with_suffix(".lock")) for p in sorted(base.glob("requirements.*.in"))]
    for network in load_all([DOCKER]).values():
        if (network.folder / "requirements.in").is_file():
            for name in network.manifest.needs.bases:
                found.append((network.folder / "requirements.in", network.lock(name)))
                found.append((base / f"requirements.{name}.in", network.lock(name)))
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("path", "lock"), pairs(), ids=lambda p: relative(p))
def test_a_lock_satisfies_what_it_was_made_from(path: Path, lock: Path, python: str) -> None:
    assert unmet(wanted(path), pins(lock, python)) == []


def test_a_lock_that_no_longer_satisfies_its_in_is_noticed() -> None:
    requirements = [Requirement(text) for text in ("a>=2", "b", "C_d<3")]
    assert unmet(requirements, {"a": "1.9", "c-d": "2"}) == ["a>=2", "b"]


@pytest.mark.parametrize("python", PYTHONS)
def test_a_networks_lock_holds_its_bases_lock(python: str) -> None:
    """So an image adds to the base's layers, and all networks share one torch."""
    for network in load_all([DOCKER]).values():
        for base in network.manifest.needs.bases:
            if network.lock(base).is_file():
                own = pins(network.lock(base), python)
                shared = pins(DOCKER / "base" / f"requirements.{base}.lock", python)
                assert {name: own.get(name) for name in shared} == shared, f"{network.name} on {base}"


def test_every_base_has_a_lock_with_its_torch() -> None:
    for base in load_bases().values():
        lock = DOCKER / "base" / f"requirements.{base.name}.lock"
        assert {pins(lock, python).get("torch") for python in PYTHONS} == {base.torch}


def test_the_default_userland_of_the_dockerfile_is_that_of_the_bases() -> None:
    text = (DOCKER / "base" / "Dockerfile").read_text("utf-8")
    assert {base.image for base in load_bases().values()} == set(re.findall(r"^ARG BASE_IMAGE=(\S+)$", text, re.M))
