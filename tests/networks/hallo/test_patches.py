"""Each patch on a snippet of our own that has upstream's fault: it fails before and works after."""

from __future__ import annotations

import os
import sys
import types
from typing import Any

import pytest

from faceorch.paths import docker_folder
from faceorch_patch import Patch, PatchError, load_patches

PATCHES = {patch.name: patch for patch in load_patches(docker_folder() / "hallo" / "patches.py")}
_MODEL = "pretrained_models/face_analysis/models/face_landmarker_v2_with_blendshapes.task"

# Name of the patch: a snippet, and what `f()` returns once it is patched.
SNIPPETS: dict[str, tuple[str, Any]] = {
    "no-xformers": ("import xformers\nimport xformers.ops\ndef f():\n    return True\n", True),
    "no-video-packages": (
        "import av\nfrom moviepy.editor import AudioFileClip, VideoClip\ndef f():\n    return True\n",
        True,
    ),
    "landmarker-anywhere": (
        f'def get_landmark(file):\n    model_path = "{_MODEL}"\n    return model_path\ndef f():\n'
        "    return get_landmark(0)\n",
        "/weights/model.task",
    ),
    "no-face": (
        "def get_landmark(file):\n    return [], 8, 8\ndef get_mask(file):\n"
        "    landmarks, height, width = get_landmark(file)\n    return landmarks[0]\n"
        "def f():\n    try:\n        get_mask(0)\n    except IndexError:\n        return 'index'\n"
        "    except LookupError as error:\n        return str(error)\n",
        "no face",
    ),
    "separator-when-used": (
        "from audio_separator.separator import Separator\nclass AudioProcessor:\n"
        "    def __init__(self, audio_separator_model_path=None, cache_dir=''):\n"
        "        if audio_separator_model_path is not None:\n"
        "            self.audio_separator = Separator(output_dir=cache_dir, output_single_stem='vocals',"
        " model_file_dir=audio_separator_model_path)\n"
        "        else:\n            self.audio_separator = None\n"
        "def f():\n    return AudioProcessor().audio_separator\n",
        None,
    ),
    "no-attention-maps": (
        "class Model:\n    def forward(self):\n        self.config.output_attentions = True\n"
        "    def encode(self):\n        self.config.output_attentions = True\n"
        "def f():\n    model = Model()\n    model.config = types.SimpleNamespace(output_attentions=False)\n"
        "    model.forward()\n    model.encode()\n    return model.config.output_attentions\n",
        False,
    ),
}


def run(code: str) -> Any:
    space: dict[str, Any] = {"os": os, "types": types}
    exec(compile(code, "snippet", "exec"), space)
    return space["f"]()


@pytest.fixture(autouse=True)
def landmarker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HALLO_LANDMARKER", "/weights/model.task")


def test_every_patch_has_a_snippet() -> None:
    assert sorted(SNIPPETS) == sorted(PATCHES)


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_patch_mends_what_it_says(name: str) -> None:
    code, result = SNIPPETS[name]
    patched = PATCHES[name].apply(code)
    assert run(patched) == result
    assert PATCHES[name].apply(patched) == patched


@pytest.mark.parametrize("name", SNIPPETS)
def test_what_is_patched_is_really_broken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages that the image does not have."""
    for package in ("xformers", "moviepy", "av", "audio_separator"):
        monkeypatch.setitem(sys.modules, package, None)
    code, result = SNIPPETS[name]
    try:
        found = run(code)
    except ImportError:
        return
    assert found != result


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_patch_refuses_code_that_is_not_what_it_expects(patch: Patch) -> None:
    with pytest.raises(PatchError):
        patch.apply("x = 1\n")
