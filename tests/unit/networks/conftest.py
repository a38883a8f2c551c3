"""Manifests with changes."""

from __future__ import annotations

from pathlib import Path

import yaml


def edit(tmp_path: Path, network_folder: Path, **changes: object) -> Path:
    raw = yaml.safe_load((network_folder / "network.yaml").read_text("utf-8"))
    path = tmp_path / "network.yaml"
    path.write_text(yaml.safe_dump({**raw, **changes}), "utf-8")
    return path


def with_presets(tmp_path: Path, network_folder: Path, **theirs: object) -> Path:
    raw = yaml.safe_load((network_folder / "network.yaml").read_text("utf-8"))
    preset = {"type": "choice", "default": "own", "choices": ["own", "theirs"], "help": "h"}
    settings = {**raw["settings"], "preset": preset}
    return edit(tmp_path, network_folder, settings=settings, presets={"theirs": theirs})
