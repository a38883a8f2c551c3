"""Measures what moves in a finished video of a face, and how well it follows its clip; docs/reference/judge.md."""
