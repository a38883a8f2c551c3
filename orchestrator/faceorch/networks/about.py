"""What a network's folder says of it, for the record: approach, licence, declared motion, parity with upstream."""

from __future__ import annotations

import msgspec

from faceorch.errors import ManifestError
from faceorch.networks.discover import Network
from faceorch.record.run import About, Parity

PARITY = "parity.json"


class _Stated(msgspec.Struct):
    """What is read of a parity.json, which `benchmarks/parity.py` writes."""

    device: str
    frames: int
    equal: int
    worst: float
    weights: str = ""
    named_differences: list[str] = []


def about(network: Network) -> About:
    """Return what the folder of a network says of it."""
    manifest = network.manifest
    expected = manifest.expected
    return About(
        approach=manifest.approach,
        licence=manifest.licence,
        homepage=manifest.homepage,
        paper=manifest.paper,
        head_motion=None if expected is None else expected.head_motion,
        eye_blinks=None if expected is None else expected.eye_blinks,
        parity=_parity(network),
    )


def _parity(network: Network) -> Parity | None:
    path = network.folder / PARITY
    try:
        stated = msgspec.json.decode(path.read_bytes(), type=_Stated)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(f"{path} cannot be read: {error}", "write it anew with benchmarks/parity.py") from error
    return Parity(
        device=stated.device,
        frames=stated.frames,
        equal=stated.equal,
        worst=stated.worst,
        weights=stated.weights,
        differences=stated.named_differences,
    )
