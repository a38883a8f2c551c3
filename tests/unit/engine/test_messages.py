"""Every engine text of the table becomes one line and one remedy; the rest is told as it is."""

from __future__ import annotations

import pytest

from faceorch.engine.messages import ROWS, explain
from faceorch.engine.remedies import ENABLE_CDI, GENERATE_CDI, INSTALL_TOOLKIT

URL = "500 Server Error for http+docker://localhost/v1.41/containers/x/start: Internal Server Error"
NO_TOOLKIT = "the engine cannot reach NVIDIA GPUs: no container toolkit"
DRIVER_OFF = "the NVIDIA driver is not loaded or does not match its libraries"
NO_RUNTIME = "the engine has no runtime called nvidia"

TEXTS = [
    ('could not select device driver "" with capabilities: [[gpu]]', NO_TOOLKIT, INSTALL_TOOLKIT),
    ('could not select device driver "nvidia" with capabilities: [[gpu]]', NO_TOOLKIT, INSTALL_TOOLKIT),
    (
        "failed to discover GPU vendor from CDI: no known GPU vendor found",
        NO_TOOLKIT,
        f"{INSTALL_TOOLKIT}; then: {GENERATE_CDI}",
    ),
    (
        "failed to discover GPU vendor from CDI: AMD CDI spec not found",
        "the engine looked for an AMD GPU: it has no NVIDIA CDI specification",
        GENERATE_CDI,
    ),
    (
        'could not select device driver "cdi" with capabilities: []',
        "the engine does not read CDI specifications",
        ENABLE_CDI,
    ),
    (
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=7",
        "the engine has no such CDI device",
        GENERATE_CDI,
    ),
    ("Unknown runtime specified nvidia", NO_RUNTIME, INSTALL_TOOLKIT),
    ("unknown or invalid runtime name: nvidia", NO_RUNTIME, INSTALL_TOOLKIT),
    (
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown",
        DRIVER_OFF,
        "restart the host, or install the driver again",
    ),
    (
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.1, please update your driver",
        "the NVIDIA driver is older than the image requires",
        "update the NVIDIA driver to 530.30.02 or newer, then restart the host",
    ),
    (
        "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters "
        "attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown",
        "a rootless engine may not change the devices cgroup",
        "set no-cgroups = true in /etc/nvidia-container-runtime/config.toml, or use CDI",
    ),
    (
        "nvidia-container-cli: device error: GPU-1: unknown device: unknown",
        "the toolkit does not find that GPU",
        "nvidia-smi -L lists the GPUs",
    ),
    ("No such image: faceorch/hallo:0123", "the image does not exist", "faceorch build"),
    (
        "invalid mount config for type bind: bind source path does not exist: /x",
        "the engine cannot see a file of the run",
        "use an --out that it can see",
    ),
    (
        "mkdir /var/lib/docker/x: no space left on device",
        "the engine's disk is full",
        "docker system prune, or move it to a larger disk",
    ),
    (
        "error during container init: error mounting /out to rootfs: permission denied: unknown",
        "the engine was denied a file or a device",
        "keep --out on a local disk; under SELinux: chcon -Rt container_file_t on it",
    ),
    (
        "error during container init: error mounting /usr/lib/libcuda.so.535 to rootfs at /usr/lib/libcuda.so.535: "
        "stat /usr/lib/libcuda.so.535: no such file or directory: unknown",
        "the CDI specifications name missing files: the driver was updated",
        GENERATE_CDI,
    ),
]


@pytest.mark.parametrize(("text", "message", "remedy"), TEXTS)
def test_a_text_of_the_engine_becomes_one_line_and_one_remedy(text: str, message: str, remedy: str) -> None:
    error = explain(f'{URL} ("{text}")')
    assert error.message == f"{message} ({text})"
    assert error.remedy == remedy


def test_every_row_of_the_table_has_a_text() -> None:
    first = {next(row.sign for row in ROWS if row.sign in text) for text, _, _ in TEXTS}
    assert first == {row.sign for row in ROWS}


def test_an_unknown_text_is_told_as_it_is() -> None:
    error = explain(f'{URL} ("something\nnew")')
    assert error.message == "the container engine refused: something new"
    assert error.remedy == "check the engine's log"
