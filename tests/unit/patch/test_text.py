"""Settings files are patched as text."""

from __future__ import annotations

from faceorch_patch import Substitute
from tests.unit.patch.conftest import a_patch


def test_settings_files_are_patched_as_text() -> None:
    patch = a_patch(Substitute("^device: .*$", "device: cpu"), file="code/config.yaml")
    assert patch.apply("a: 1\ndevice: cuda\n").splitlines()[1] == "device: cpu"
