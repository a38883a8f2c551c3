"""The container engine's error texts, as one line and one remedy each.

Wording changes between engine versions: this is the only place that matches it, by substring, first row first.
"""

from __future__ import annotations

from dataclasses import dataclass

from faceorch.errors import EngineError

_TOOLKIT = "install nvidia-container-toolkit, then: nvidia-ctk runtime configure --runtime=docker, and restart Docker"


@dataclass(frozen=True, slots=True)
class _Row:
    sign: str
    message: str
    remedy: str


_CDI = "nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
_NO_TOOLKIT = "the engine cannot reach NVIDIA GPUs: no container toolkit"
_NO_RUNTIME = "the engine has no runtime called nvidia"
_DRIVER_OFF = "the NVIDIA driver is not loaded or does not match its libraries"

ROWS = (
    _Row("AMD CDI spec not found", "the engine looked for an AMD GPU: it has no NVIDIA CDI specification", _CDI),
    _Row('could not select device driver "cdi"', "this engine has no CDI", "set features.cdi in daemon.json"),
    _Row("could not select device driver", _NO_TOOLKIT, _TOOLKIT),
    _Row("failed to discover GPU vendor from CDI", _NO_TOOLKIT, f"{_TOOLKIT}; then: {_CDI}"),
    _Row("unresolvable CDI devices", "the engine has no such CDI device", _CDI),
    _Row("nknown runtime specified nvidia", _NO_RUNTIME, _TOOLKIT),
    _Row("unknown or invalid runtime name", _NO_RUNTIME, _TOOLKIT),
    _Row("unsatisfied condition: cuda", "the NVIDIA driver is older than the image demands", "update it to 530.30.02"),
    _Row("nvidia-container-cli: initialization error", _DRIVER_OFF, "restart the host, or install the driver again"),
    _Row("o such image", "the image is not there", "faceorch build"),
    _Row("bind source path does not exist", "the engine does not see a file of the run", "use an --out that it sees"),
    _Row("ermission denied", "this user may not use the engine", "sudo usermod -aG docker $USER, then log in again"),
    _Row("no space left on device", "the engine's disk is full", "docker system prune, or give it a larger disk"),
)


def explain(text: str) -> EngineError:
    """Return the error that an engine's `text` means; the text itself when it is not in the table."""
    for row in ROWS:
        if row.sign in text:
            return EngineError(f"{row.message} ({_short(text)})", row.remedy)
    return EngineError(f"the container engine refused: {_short(text)}", "see the engine's log")


def _short(text: str) -> str:
    """Return the essence of an engine's message: without the URL that the client puts before it."""
    _, separator, rest = text.partition('("')
    essence = rest.rstrip('")') if separator else text
    return " ".join(essence.split())[:300]
