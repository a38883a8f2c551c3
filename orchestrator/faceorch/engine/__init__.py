"""The container engine: where it is, what it says of itself, how GPUs reach its containers."""
