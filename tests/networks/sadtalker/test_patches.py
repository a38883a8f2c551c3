"""Each patch on a snippet of our own that has upstream's fault: it fails before and works after."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from faceorch.networks import docker_folder
from faceorch_patch import Patch, PatchError, load_patches

PATCHES = {patch.name: patch for patch in load_patches(docker_folder() / "sadtalker" / "patches.py")}

# Name of the patch: a snippet, and what it must say once it is patched.
SNIPPETS: dict[str, tuple[str, str, Any]] = {
    "numpy-float": (
        "def calculate_points(x):\n    return x.astype(np.float).dtype.name\n",
        "f(np.zeros(1))",
        "float64",
    ),
    "heatmap-edge": (
        "def calculate_points(heat):\n    HW = len(heat)\n    inr = np.array([0, HW - 1])\n"
        "    return [heat[inr + 1].tolist(), heat[inr - 1].tolist()]\n",
        "f(np.arange(9))",
        [[1, 8], [0, 7]],
    ),
    "numpy-warning": (
        'import warnings\nwarnings.filterwarnings("ignore", category=np.VisibleDeprecationWarning)\ndone = True\n',
        "done",
        True,
    ),
    "numpy-ragged": (
        "def resize_n_crop_img(t):\n    return [float(t[0] * 2), float(1 - t[1]), (9 - t[0], 9 + t[1])]\n"
        "def align_img(t):\n    w0, h0, s = 4, 5, 0.5\n    trans_params = np.array([w0, h0, s, t[0], t[1]])\n"
        "    return trans_params.tolist() + resize_n_crop_img(t)\n",
        "align_img(np.array([[2.0], [3.0]]))",
        [4.0, 5.0, 0.5, 2.0, 3.0, 4.0, -2.0, (7.0, 12.0)],
    ),
    "lstsq-rcond": (
        "def POS(a, b):\n    k, _, _, _ = np.linalg.lstsq(a, b)\n    return k.round(6).tolist()\n",
        "POS(np.eye(2), np.array([1.0, 2.0]))",
        [1.0, 2.0],
    ),
    "no-skimage": ("from skimage import transform as trans\ndone = True\n", "done", True),
    "no-librosa": ("import librosa\nimport librosa.filters\ndone = True\n", "done", True),
    "no-kornia": ("from kornia.geometry import warp_affine\ndone = True\n", "done", True),
    "box-inside": (
        "class Preprocesser:\n    def align_face(self, quad, crop, size):\n"
        "        rx = min(max(quad[4], quad[6]), size)\n        ry = min(max(quad[3], quad[5]), size)\n"
        "        return float(rx), float(ry)\n",
        # A face at the lower right of a picture of 100x200: 30 pixels wide and 70 high are left of the crop.
        "Preprocesser().align_face(np.array([1.0, 1, 1, 90, 80, 90, 80, 1]), (70, 130, 100, 200), 100)",
        (30.0, 70.0),
    ),
}


def run(code: str, expression: str) -> Any:
    space: dict[str, Any] = {"np": np}
    exec(compile(code, "snippet", "exec"), space)
    space["f"] = space.get("calculate_points")
    return eval(expression, space)


def test_every_patch_has_a_snippet() -> None:
    assert sorted(SNIPPETS) == sorted(PATCHES)


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_patch_mends_what_it_says(name: str) -> None:
    code, expression, result = SNIPPETS[name]
    patched = PATCHES[name].apply(code)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run(patched, expression) == result
    assert PATCHES[name].apply(patched) == patched


@pytest.mark.parametrize("name", [name for name in SNIPPETS if name != "lstsq-rcond"])
def test_what_is_patched_is_really_broken(name: str) -> None:
    """With the numpy of today and without the packages that are not installed; `rcond` is a warning until numpy 2."""
    code, expression, result = SNIPPETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = run(code, expression)
        except (AttributeError, ImportError, IndexError, ValueError, TypeError):
            return
    assert name in ("box-inside", "numpy-warning")  # the warning's name is there until numpy 2
    assert name == "numpy-warning" or found != result


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
def test_a_patch_refuses_code_that_is_not_what_it_expects(patch: Patch) -> None:
    with pytest.raises(PatchError):
        patch.apply("x = 1\n")
