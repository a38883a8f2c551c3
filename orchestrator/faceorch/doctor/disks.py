"""Checks of the disks for images and weights against what is still to be built and downloaded."""

from __future__ import annotations

from collections.abc import Mapping

from faceorch.doctor.findings import Finding, Severity
from faceorch.doctor.judge_gpu import bases_used
from faceorch.doctor.judge_host import judge_space
from faceorch.doctor.probes import HostFacts
from faceorch.engine.facts import EngineFacts
from faceorch.needs import GB
from faceorch.networks.bases import Base
from faceorch.networks.discover import Network
from faceorch.networks.manifest import Needs
from faceorch.weights.manifest import File, load_weights
from faceorch.weights.store import State, Store
from faceorch.words import size

# What a network's own packages add to its base: 0.5 to 1.5 GB, measured as installed environments.
NETWORK_IMAGE_GB = 1.5


def judge_disks(
    facts: HostFacts, networks: Mapping[str, Network], bases: Mapping[str, Base], store: Store
) -> list[Finding]:
    """Check the disks for the images still to be built and the weights still to be downloaded."""
    # A network that cannot run without a GPU needs no disk space on a host that has none.
    wanted = {
        name: network
        for name, network in networks.items()
        if not network.missing_files and (facts.gpus.gpus or not network.manifest.needs.gpu)
    }
    findings, images_bytes = [], 0
    if facts.image_space is not None:
        unbuilt = [name for name in wanted if not any(image.network == name for image in facts.images)]
        images_bytes = _images_bytes(facts, {name: wanted[name].manifest.needs for name in unbuilt}, bases)
        what = f"the images of {', '.join(unbuilt)}" if unbuilt else "all images that can run here are built"
        remedy = "docker system prune, or set data-root in /etc/docker/daemon.json to a larger disk"
        findings.append(judge_space("disk for images", facts.image_space, images_bytes, what, remedy))
    elif isinstance(facts.engine, EngineFacts):
        found = "not checked: this machine cannot see where the engine stores its images"
        findings.append(Finding(check="disk for images", severity=Severity.SKIPPED, found=found))
    missing = {name: _missing_weights(network, store) for name, network in wanted.items()}
    lacking = [name for name, files in missing.items() if files]
    # A file that two networks want is downloaded once.
    needed_bytes = sum({file.id: file.size for files in missing.values() for file in files}.values())
    what = f"the weights of {', '.join(lacking)}" if lacking else "all weights that can be used here are downloaded"
    if lacking and images_bytes and _one_disk(facts):
        needed_bytes += images_bytes
        what += f", {size(images_bytes)} of it for images on the same disk"
    remedy = "free some space (faceorch weights rm), or set FACEORCH_WEIGHTS to a folder on a larger disk"
    return [*findings, judge_space("disk for weights", facts.weight_space, needed_bytes, what, remedy)]


def _one_disk(facts: HostFacts) -> bool:
    device = None if facts.image_space is None else facts.image_space.device
    return device is not None and device == facts.weight_space.device


def _images_bytes(facts: HostFacts, unbuilt: Mapping[str, Needs], bases: Mapping[str, Base]) -> int:
    """Return an estimate of the disk space for the images of some networks and the bases not built yet."""
    standing = {image.base for image in facts.images if not image.network}
    used = bases_used(unbuilt, facts.gpus, bases)
    new_gb = sum(base.disk_gb for base in used if base.name not in standing) if unbuilt else 0.0
    return int((new_gb + NETWORK_IMAGE_GB * len(unbuilt)) * GB)


def _missing_weights(network: Network, store: Store) -> list[File]:
    weights = load_weights(network)
    files = () if weights is None else weights.needed(network.settings({}))
    return [file for file in files if store.find(network.name, file).state is State.MISSING]
