"""Portraits, clips and finished videos: probe, validate, normalise. docs/guide/run-folder.md says what is accepted."""
