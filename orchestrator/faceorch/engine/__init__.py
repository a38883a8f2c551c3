"""The container engine: its address, its facts, and how GPUs reach its containers."""
