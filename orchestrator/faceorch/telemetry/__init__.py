"""What watches a job: GPUs, its container or its processes; and what the samples mean."""
