"""Generates compose.yaml and its Dockerfile from the manifests: the same images and sandbox, for users of Compose.

Compose builds its services in any order, so the base is a stage of one common Dockerfile instead of an image.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from faceorch.engine.sandbox import FILES, PROCESSES, SHM_BYTES, TMP
from faceorch.images.recipe import upstream_arguments
from faceorch.networks.bases import load_bases
from faceorch.networks.discover import Network, load_networks
from faceorch.networks.kit import PACKAGE, kit_paths
from faceorch.networks.manifest import PRESET
from faceorch.paths import docker_folder, kit_folder
from faceorch_runner import Feed, Job, JobFile

_GENERATED = "# Generated from docker/*/ by `make docs`; change those, not this.\n"
_USAGE = """#
# usage:   mkdir -p results/compose
#          docker compose build NETWORK
#          FACEORCH_USER=$(id -u):$(id -g) docker compose run --rm NETWORK      -> results/compose/NETWORK.mp4
#
# FACEORCH_PORTRAIT   an RGB PNG without transparency        (`faceorch run` makes such inputs of any image and audio;
# FACEORCH_CLIP       a mono 16-bit WAV                       a run folder keeps them in inputs/)
# FACEORCH_OUT        folder for the video; must exist       FACEORCH_USER     who writes into it
# FACEORCH_SEED       the seed                               FACEORCH_WEIGHTS  the store: docs/guide/weights.md
# FACEORCH_BASE       cu121 or cu128                         FACEORCH_BASE_IMAGE and mirrors: docs/guide/images.md
# NETWORK_SETTING     such as BASELINE_MAX_SIZE=512
#
# A certificate authority for the build: put it at docker/base/ca-bundle.pem.
"""
_START = 'printf %s "$$JOB" > /tmp/job.json && exec /opt/faceorch/env/bin/python -m faceorch_runner /tmp/job.json'
_KIT = f"COPY kit/{PACKAGE} /opt/faceorch/kit/{PACKAGE}\n"
_FROM = re.compile(r"^(ARG BASE_IMAGE\n)?FROM \$\{BASE_IMAGE\}$", flags=re.MULTILINE)


def finished() -> list[Network]:
    """Return the networks of faceorch's own folder that can be built."""
    networks = load_networks([docker_folder()]).values()
    return [n for n in networks if "docker" in n.manifest.needs.runtimes and not n.missing_files]


def dockerfile() -> str:
    """Return the Dockerfile of all services: one stage for the base, one for each network."""
    base = (docker_folder() / "base" / "Dockerfile").read_text("utf-8")
    parts = [_GENERATED, base.replace("FROM ${BASE_IMAGE}", "FROM ${BASE_IMAGE} AS base")]
    for network in finished():
        text = (network.folder / "Dockerfile").read_text("utf-8")
        parts.append(_FROM.sub(f"FROM base AS {network.name}", text.replace(_KIT, _copy_kit(network))))
    return "\n".join(parts)


def _copy_kit(network: Network) -> str:
    """Return the lines that copy the parts of the kit that `network` uses: Compose's context holds all of them."""
    target = f"/opt/faceorch/kit/{PACKAGE}/"
    paths = kit_paths(kit_folder(), network.manifest.uses)
    modules = " ".join(f"kit/{PACKAGE}/{path.name}" for path in paths if path.is_file())
    folders = [f"COPY kit/{PACKAGE}/{path.name} {target}{path.name}\n" for path in paths if path.is_dir()]
    return "".join([f"COPY {modules} {target}\n", *folders])


def compose_file() -> str:
    """Return compose.yaml: one service for each network."""
    services = {network.name: _service(network) for network in finished()}
    text = yaml.dump({"name": "faceorch", "services": services}, Dumper=_Plain, sort_keys=False, width=1000)
    return _GENERATED + _USAGE + text


class _Plain(yaml.SafeDumper):
    """Writes no anchors, so that each service can be read and copied on its own."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _service(network: Network) -> dict[str, Any]:
    needs = network.manifest.needs
    bases = needs.bases
    weights = (network.folder / "weights.yaml").is_file()
    memory = f"{needs.ram_gb:g}g"
    service: dict[str, Any] = {
        "image": f"faceorch/{network.name}:compose",
        "build": {
            "context": "docker",
            "dockerfile": "compose.Dockerfile",
            "target": network.name,
            "network": "${FACEORCH_BUILD_NETWORK:-default}",
            "args": {
                "BASE": f"${{FACEORCH_BASE:-{bases[0]}}}" if len(bases) > 1 else bases[0],
                "BASE_IMAGE": f"${{FACEORCH_BASE_IMAGE:-{load_bases()[bases[0]].image}}}",
                **upstream_arguments(network),
                "UV_DEFAULT_INDEX": "${UV_DEFAULT_INDEX:-}",
                "APT_MIRROR": "${FACEORCH_APT_MIRROR:-}",
                "UPSTREAM_MIRROR": "${FACEORCH_UPSTREAM_MIRROR:-}",
            },
        },
        "entrypoint": ["/bin/sh", "-c", _START],
        "command": [],
        "environment": {"JOB": _job(network, weights)},
        "volumes": [
            _bind("${FACEORCH_PORTRAIT:-./assets/face.png}", "/job/portrait.png"),
            _bind("${FACEORCH_CLIP:-./assets/clip.wav}", "/job/clip.wav"),
            _bind("${FACEORCH_OUT:-./results/compose}", "/out", read_only=False),
        ],
        "user": "${FACEORCH_USER:-1000:1000}",
        "network_mode": "none",
        "read_only": True,
        "tmpfs": [f"/tmp:{TMP}"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": PROCESSES,
        "mem_limit": memory,
        "memswap_limit": memory,
        "shm_size": SHM_BYTES,
        "ulimits": {"nofile": {"soft": FILES, "hard": FILES}, "core": 0},
        "init": True,
        "logging": {"driver": "json-file", "options": {"max-size": "16m", "max-file": "2"}},
    }
    if weights:
        folder = "${FACEORCH_WEIGHTS:-${HOME}/.cache/faceorch/weights}"
        service["volumes"].append(_bind(f"{folder}/networks/{network.name}", "/weights"))
    if needs.gpu:
        gpus = [{"driver": "nvidia", "count": "all", "capabilities": ["gpu", "compute", "utility", "video"]}]
        service["deploy"] = {"resources": {"reservations": {"devices": gpus}}}
    return service


def _bind(source: str, target: str, *, read_only: bool = True) -> dict[str, Any]:
    # A missing source must fail. Otherwise the engine would create an empty folder owned by root.
    mount = {"type": "bind", "source": source, "target": target, "read_only": read_only}
    return {**mount, "bind": {"create_host_path": False}}


class _Variable(str):
    """JSON that contains a Compose variable; written verbatim."""


def _job(network: Network, weights: bool) -> str:
    """Return the job file, with a variable for the seed and for every setting."""
    settings: dict[str, object] = {}
    for key, setting in network.manifest.settings.items():
        if key == PRESET:  # resolved by faceorch: as a variable it would change nothing
            settings[key] = setting.default
            continue
        name, default = f"{network.name}_{key}".upper(), json.dumps(setting.default)
        text = isinstance(setting.default, str)
        settings[key] = _Variable(f'"${{{name}:-{setting.default}}}"' if text else f"${{{name}:-{default}}}")
    job = Job(
        id=network.name,
        portrait=Path("/job/portrait.png"),
        audio=Path("/job/clip.wav"),
        seed=0,
        settings=settings,
        work=Path("/out"),
    )
    file = JobFile(
        network=network.name,
        code=Path("/opt/faceorch/network"),
        weights=Path("/weights") if weights else None,
        out=Path("/out"),
        device="cuda" if network.manifest.needs.gpu else "cpu",
        feed=Feed.NONE,
        jobs=(job,),
    ).to_json()
    file["jobs"][0]["seed"] = _Variable("${FACEORCH_SEED:-0}")
    return _json(file)


def _json(value: object) -> str:
    """Return `value` as JSON with the Compose variables unquoted."""
    if isinstance(value, _Variable):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json(item) for item in value) + "]"
    return json.dumps(value)
