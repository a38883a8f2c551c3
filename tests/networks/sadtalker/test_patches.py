"""Each patch on a snippet of our own that has upstream's fault: it fails before and works after."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from faceorch.paths import docker_folder
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
    "no-scipy-signal": ("from scipy import signal\ndone = True\n", "done", True),
    "no-convex-hull": ("from scipy.spatial import ConvexHull\ndone = True\n", "done", True),
    # As upstream, these make on the CPU what is needed elsewhere; `torch` refuses to.
    "angles-on-device": (
        "def headpose_pred_to_degree(pred, device='cuda'):\n    idx_tensor = list(range(66))\n"
        "    return torch.FloatTensor(idx_tensor).type_as(pred).to(device)\n",
        "headpose_pred_to_degree(Tensor('float32', 'cuda'))",
        [("arange", 66, "float32", "cuda")],
    ),
    "grid-on-device": (
        "def make_coordinate_grid(size, type):\n    d, h, w = size\n    x = torch.arange(w).type(type)\n"
        "    y = torch.arange(h).type(type)\n    z = torch.arange(d).type(type)\n    return [*x, *y, *z]\n",
        "make_coordinate_grid((2, 3, 4), 'torch.cuda.FloatTensor')",
        [("arange", n, None, "cuda", "torch.cuda.FloatTensor") for n in (4, 3, 2)],
    ),
    "zeros-on-device": (
        "class DenseMotionNetwork:\n    def create_heatmap_representations(self, heatmap, spatial_size):\n"
        "        return torch.zeros(heatmap.shape[0], 1, spatial_size[0], spatial_size[1], spatial_size[2])"
        ".type(heatmap.type())\n",
        "DenseMotionNetwork().create_heatmap_representations(Tensor('float32', 'cuda'), (2, 3, 4))",
        [("zeros_like", "cuda", (slice(None), slice(None, 1)))],
    ),
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


class Tensor(list[Any]):
    """What was made: one entry of what it was made by, on which device, and as which type."""

    def __init__(self, dtype: Any, device: str) -> None:
        self.dtype, self.device = dtype, device
        self.shape = (1, 15, 2, 3, 4)

    def type(self, kind: str) -> Tensor:
        self[-1] = (*self[-1], kind)
        return self

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            part = Tensor(self.dtype, self.device)
            part.append(key)
            return part
        return super().__getitem__(key)


class Torch:
    """Torch that makes tensors where it is told to, and never on the CPU for a GPU."""

    def arange(self, count: int, dtype: Any = None, device: str | None = None) -> Tensor:
        if device is None:
            raise ValueError("made on the CPU")
        made = Tensor(dtype, device)
        made.append(("arange", count, dtype, device))
        return made

    def zeros_like(self, other: Tensor) -> Tensor:
        made = Tensor(other.dtype, other.device)
        made.append(("zeros_like", other.device, other[0]))
        return made


def run(code: str, expression: str) -> Any:
    space: dict[str, Any] = {"np": np, "torch": Torch(), "Tensor": Tensor}
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


# Nothing is broken without these: the one is a warning until numpy 2, the others take a second to import.
_WORKS_TOO = ("lstsq-rcond", "no-scipy-signal", "no-convex-hull")


@pytest.mark.parametrize("name", [name for name in SNIPPETS if name not in _WORKS_TOO])
def test_what_is_patched_is_really_broken(name: str) -> None:
    """With the numpy of today and without the packages that are not installed."""
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
