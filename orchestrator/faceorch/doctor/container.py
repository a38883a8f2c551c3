"""Runs a computation on the GPUs inside a container of an image that is already built, and checks the result."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from faceorch.doctor.findings import Finding, Severity
from faceorch.engine.client import asked, remove_container
from faceorch.engine.facts import EngineFacts
from faceorch.engine.gpu_access import Access
from faceorch.engine.remedies import INSTALL_TOOLKIT
from faceorch.engine.sandbox import container_user, gpu_requests, sandbox
from faceorch.engine.versions import version_key
from faceorch.errors import EngineError
from faceorch.images.built import Image
from faceorch.images.recipe import LABEL
from faceorch.networks.bases import Base, load_bases
from faceorch.owner import Owner
from faceorch.untrusted import NAME, SENTENCE, text

if TYPE_CHECKING:
    from docker import APIClient

CHECK = "GPU in a container"
_SCRIPT = Path(__file__).with_name("in_container.py")
_PATIENCE_S = 120  # the first use of a GPU loads gigabytes of kernels, possibly from a slow disk
_MEMORY_BYTES = 8 * 2**30
_LOG_BYTES = 2**20


class InContainer(Struct, frozen=True, kw_only=True):
    """The result of one container: what the program inside it printed, or why it printed nothing."""

    image: str
    base: str
    asked: int
    elapsed_s: float
    result: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    remedy: str = ""


def choose_image(found: Sequence[Image], bases: Mapping[str, Base], preferred: str | None) -> Image | None:
    """Return the image to probe with: one of the preferred base, else one with torch, else any; newest first."""

    def rank(image: Image) -> tuple[bool, bool, float]:
        base = bases.get(image.base)
        return (image.base == preferred, base is not None and base.torch is not None, image.created)

    return max((image for image in found if image.own_tag), key=rank, default=None)


def probe_container(
    api: APIClient, facts: EngineFacts, image: Image, access: Access, uuids: Sequence[str]
) -> InContainer:
    """Start a container as `faceorch run` does, compute on every GPU of `uuids` in it, and remove it."""
    begun_s = time.monotonic()
    name = f"faceorch-doctor-{uuid.uuid4().hex[:12]}"
    result: dict[str, Any] = {}
    problem, remedy = "", ""
    try:
        with asked():
            _create(api, facts, image, access, uuids, name)
            api.start(name)
            code = int(api.wait(name, timeout=_PATIENCE_S)["StatusCode"])
            output = api.logs(name, stdout=True, stderr=False).decode("utf-8", "replace")
            everything = api.logs(name, stdout=True, stderr=True).decode("utf-8", "replace")
        try:
            result = _result(output)
        except ValueError:
            last = text("".join(everything.strip().splitlines()[-1:]), SENTENCE)
            problem = f"the program in the container ended with exit code {code}: {last or 'no output'}"
            remedy = f"inspect the image: docker run --rm -it --entrypoint sh {image.tag}"
    except EngineError as error:
        problem, remedy = error.message, error.remedy
        if _timed_out(error):
            problem = f"the container did not finish within {_PATIENCE_S} s"
            remedy = "check that nvidia-smi responds; restart the host if it does not"
    finally:
        remove_container(api, name)
    return InContainer(
        image=image.tag,
        base=image.base,
        asked=len(uuids),
        elapsed_s=time.monotonic() - begun_s,
        result=result,
        problem=problem,
        remedy=remedy,
    )


def _create(api: APIClient, facts: EngineFacts, image: Image, access: Access, uuids: Sequence[str], name: str) -> None:
    entrypoint = api.inspect_image(image.id)["Config"].get("Entrypoint") or ["python3"]  # type: ignore[no-untyped-call]
    api.create_container(
        image.id,
        name=name,
        # The first word of a runner's entrypoint is its environment's Python.
        entrypoint=[entrypoint[0], "-c", _SCRIPT.read_text("utf-8")],
        command=[],
        user=":".join(map(str, container_user(facts))),
        use_config_proxy=False,
        labels={f"{LABEL}.run": "doctor", f"{LABEL}.owner": str(Owner.me())},
        host_config=sandbox(
            api,
            facts,
            mounts=[],
            memory_bytes=_MEMORY_BYTES,
            gpus=gpu_requests(access, uuids),
            log_bytes=_LOG_BYTES,
        ),
    )


def _timed_out(error: EngineError) -> bool:
    return "timed out" in str(error.__cause__).lower()


def _result(output: str) -> dict[str, Any]:
    """Return what the program printed, as text that can be shown; `ValueError` when it is something else."""
    try:
        found = json.loads(output)
    except RecursionError as error:
        raise ValueError("brackets within brackets") from error
    gpus = found.get("gpus", []) if isinstance(found, dict) else None
    kernels = found.get("kernels", []) if isinstance(found, dict) else None
    if not (isinstance(gpus, list) and all(isinstance(gpu, dict) for gpu in gpus) and isinstance(kernels, list)):
        raise ValueError("not what the program prints")
    return {
        **{key: text(str(found[key]), SENTENCE) for key in ("with", "error") if key in found},
        "kernels": [text(str(name), NAME) for name in kernels],
        "gpus": [
            {
                "name": text(str(gpu.get("name", "?")), NAME),
                "right": gpu.get("right") is True,
                **({"error": text(str(gpu["error"]), SENTENCE)} if "error" in gpu else {}),
            }
            for gpu in gpus
        ],
    }


def judge_container(seen: InContainer, base: Base | None) -> list[Finding]:
    """Check what happened in the container, and its torch against the base's file."""
    where = f"in {seen.image}"
    if seen.problem:
        return [_error(f"{seen.problem} ({where})", seen.remedy)]
    gpus: list[dict[str, Any]] = seen.result.get("gpus", [])
    tool = str(seen.result.get("with", "?"))
    if not gpus:
        why = str(seen.result.get("error", "CUDA has no device"))
        return [_error(f"the container started but sees no GPU ({where}, {tool}: {why})", INSTALL_TOOLKIT)]
    findings = []
    wrong = [f"{gpu['name']}: {gpu.get('error', 'the result is wrong')}" for gpu in gpus if not gpu.get("right")]
    if wrong:
        remedy = "update the driver and restart the host; a GPU whose results are still wrong is broken"
        if any("no kernel image" in line for line in wrong):
            newest = max(
                (base for base in load_bases().values() if base.cuda), key=lambda base: version_key(base.cuda or "")
            )
            remedy = f"build on the base with kernels for the newest GPUs: faceorch build --base {newest.name}"
        findings.append(_error(f"{'; '.join(wrong)} ({where}, {tool})", remedy))
    elif len(gpus) != seen.asked:
        told = f"{len(gpus)} of {seen.asked} GPUs reached the container ({where})"
        findings.append(_error(told, "check the engine's GPU setup: MIG, CDI specifications, NVIDIA_VISIBLE_DEVICES"))
    else:
        names = ", ".join(str(gpu["name"]) for gpu in gpus)
        found = f"{names} computed correctly with {tool} {where}, {seen.elapsed_s:.1f} s in total"
        findings.append(Finding(check=CHECK, severity=Severity.OK, found=found))
    kernels = set(seen.result.get("kernels", []))
    if base is not None and base.torch is not None and kernels and kernels != set(base.kernels):
        findings.append(
            Finding(
                check="kernels of the image",
                severity=Severity.WARNING,
                found=f"the torch of {seen.image} has {', '.join(sorted(kernels))}",
                needed=f"{', '.join(base.kernels)}, as docker/base/{base.name}.yaml says",
                running="the base may be chosen for GPUs for which this image has no kernels",
                remedy="build the image again, or fix that file",
            )
        )
    return findings


def _error(found: str, remedy: str) -> Finding:
    return Finding(
        check=CHECK,
        severity=Severity.ERROR,
        found=found,
        needed="every GPU computes inside the sandbox of a run",
        running="networks that need a GPU will fail",
        remedy=remedy,
    )
