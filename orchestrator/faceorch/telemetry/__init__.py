"""What watches the machine: GPUs (nvml)."""
