"""The container engine's error messages, each as one line and one remedy.

The wording differs between engine versions. Only this module matches it: by substring, the first row that fits.
"""

from __future__ import annotations

from msgspec import Struct

from faceorch.engine.remedies import ENABLE_CDI, GENERATE_CDI, INSTALL_TOOLKIT
from faceorch.errors import EngineError


class _Row(Struct, frozen=True):
    sign: str
    message: str
    remedy: str


_NO_TOOLKIT = "the engine cannot reach NVIDIA GPUs: no container toolkit"
_NO_RUNTIME = "the engine has no runtime called nvidia"
_DRIVER_OFF = "the NVIDIA driver is not loaded or does not match its libraries"
_NO_CGROUPS = "set no-cgroups = true in /etc/nvidia-container-runtime/config.toml, or use CDI"
_DENIED = "keep --out on a local disk; under SELinux: chcon -Rt container_file_t on it"

ROWS = (
    _Row(
        "AMD CDI spec not found", "the engine looked for an AMD GPU: it has no NVIDIA CDI specification", GENERATE_CDI
    ),
    _Row('could not select device driver "cdi"', "the engine does not read CDI specifications", ENABLE_CDI),
    _Row("could not select device driver", _NO_TOOLKIT, INSTALL_TOOLKIT),
    _Row("failed to discover GPU vendor from CDI", _NO_TOOLKIT, f"{INSTALL_TOOLKIT}; then: {GENERATE_CDI}"),
    _Row("unresolvable CDI devices", "the engine has no such CDI device", GENERATE_CDI),
    _Row("nknown runtime specified nvidia", _NO_RUNTIME, INSTALL_TOOLKIT),
    _Row("unknown or invalid runtime name", _NO_RUNTIME, INSTALL_TOOLKIT),
    _Row(
        "unsatisfied condition: cuda",
        "the NVIDIA driver is older than the image requires",
        "update the NVIDIA driver to 530.30.02 or newer, then restart the host",
    ),
    _Row("nvidia-container-cli: initialization error", _DRIVER_OFF, "restart the host, or install the driver again"),
    _Row("bpf_prog_query(BPF_CGROUP_DEVICE)", "a rootless engine may not change the devices cgroup", _NO_CGROUPS),
    _Row("nvidia-container-cli: device error", "the toolkit does not find that GPU", "nvidia-smi -L lists the GPUs"),
    _Row("o such image", "the image does not exist", "faceorch build"),
    _Row(
        "bind source path does not exist",
        "the engine cannot see a file of the run",
        "use an --out that it can see",
    ),
    _Row("no space left on device", "the engine's disk is full", "docker system prune, or move it to a larger disk"),
    _Row("ermission denied", "the engine was denied a file or a device", _DENIED),
    # The run's own files are checked above, so only a CDI specification can name a missing file.
    _Row("error mounting", "the CDI specifications name missing files: the driver was updated", GENERATE_CDI),
)


def explain(text: str) -> EngineError:
    """Return the error for an engine's `text`; the text itself if it is not in the table."""
    for row in ROWS:
        if row.sign in text:
            return EngineError(f"{row.message} ({_short(text)})", row.remedy)
    return EngineError(f"the container engine refused: {_short(text)}", "check the engine's log")


def _short(text: str) -> str:
    """Return an engine's message without the URL that the client puts before it."""
    _, separator, rest = text.partition('("')
    essence = rest.rstrip('")') if separator else text
    return " ".join(essence.split())[:300]
