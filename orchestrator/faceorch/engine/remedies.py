"""What to do when an engine cannot give GPUs to a container."""

from __future__ import annotations

INSTALL_TOOLKIT = (
    "install nvidia-container-toolkit, then: sudo nvidia-ctk runtime configure --runtime=docker && "
    "sudo systemctl restart docker"
)
INSTALL_TOOLKIT_ROOTLESS = (
    "install nvidia-container-toolkit, then: nvidia-ctk runtime configure --runtime=docker "
    "--config=$HOME/.config/docker/daemon.json && systemctl --user restart docker && "
    "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
)
GENERATE_CDI = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"
ENABLE_CDI = (
    'add {"features": {"cdi": true}} to /etc/docker/daemon.json (Docker 25 or newer), then: '
    "sudo systemctl restart docker"
)
