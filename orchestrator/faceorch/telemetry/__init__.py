"""Samples a job's GPUs and its container or processes, and computes figures from the samples."""
