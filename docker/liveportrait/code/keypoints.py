"""What the motion model says, as keypoints for the renderer; numpy only, a few kilobytes for every second.

LivePortrait (Guo et al. 2024) describes a head by 21 keypoints: x = s (x_c R + d) + t, with the canonical keypoints x_c
of the person, the rotation R, the expression d (one offset for each keypoint), the scale s and the translation t.
JoyVASA (Cao et al. 2024) generates d, R, s and t for every frame.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .smoothing import ema

Array = NDArray[np.float32]

KEYPOINTS = 21
VALUES = 70  # of one frame: 63 of expression, scale, translation (3), pitch, yaw, roll
LIPS = (6, 12, 14, 17, 19, 20)
EYES = (11, 13, 15, 16, 18)


@dataclass(frozen=True)
class Motion:
    """Motion of `frames` frames: `exp` (frames, 21, 3), `scale` (frames,), `shift` (frames, 3), `angles` (frames, 3)
    as pitch, yaw and roll in degrees."""

    exp: Array
    scale: Array
    shift: Array
    angles: Array

    def __len__(self) -> int:
        return len(self.scale)

    def smooth(self, head: float, expression: float) -> Motion:
        """Return the motion averaged over time: `head` for the pose, `expression` for all but the lips."""
        exp = ema(self.exp, expression)
        exp[:, LIPS] = self.exp[:, LIPS]
        return Motion(exp, ema(self.scale, head), ema(self.shift, head), ema(self.angles, head))

    def __getitem__(self, frames: slice) -> Motion:
        return Motion(self.exp[frames], self.scale[frames], self.shift[frames], self.angles[frames])


@dataclass(frozen=True)
class Portrait:
    """The portrait's own description: `kp` (21, 3), `exp` (21, 3), `scale`, `shift` (3,), `angles` (3,) in degrees."""

    kp: Array
    exp: Array
    scale: float
    shift: Array
    angles: Array

    def keypoints(self) -> Array:
        """Return x (21, 3). The renderer takes no depth from the translation."""
        turned = self.kp @ rotation(self.angles[None])[0]
        return np.asarray(self.scale * (turned + self.exp) + self.shift * (1.0, 1.0, 0.0), np.float32)


class Template:
    """The ranges in which the motion model was trained (motion_template.pkl)."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        names = ["mean_exp", "std_exp"]
        names += [f"{end}_{what}" for what in ("scale", "t", "pitch", "yaw", "roll") for end in ("min", "max")]
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(f"the motion template lacks {', '.join(missing)}")
        self._values = {name: np.asarray(values[name], np.float32).reshape(-1) for name in names}

    @classmethod
    def read(cls, path: Path) -> Template:
        """Read the pickled template; it may hold numpy arrays and nothing else."""
        with path.open("rb") as file:
            return cls(_ArrayUnpickler(file).load())

    def motion(self, generated: Array) -> Motion:
        """Return the motion that the model's normalised values (frames, 70 or more) stand for."""
        values = self._values
        exp = generated[:, :63] * values["std_exp"] + values["mean_exp"]

        def spread(what: str, first: int, last: int) -> Array:
            low, high = values[f"min_{what}"], values[f"max_{what}"]
            return np.asarray(generated[:, first:last] * (high - low) + low, np.float32)

        angles = [spread(what, column, column + 1) for what, column in (("pitch", 67), ("yaw", 68), ("roll", 69))]
        return Motion(
            exp=exp.reshape(-1, KEYPOINTS, 3).astype(np.float32),
            scale=spread("scale", 63, 64)[:, 0],
            shift=spread("t", 64, 67),
            angles=np.concatenate(angles, axis=1),
        )


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        arrays = {"_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"}
        if module.split(".")[0] == "numpy" and name in arrays:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"the motion template holds {module}.{name}: numpy arrays only")


def rotation(angles: Array) -> Array:
    """Return the rotation matrices (n, 3, 3) of pitch, yaw and roll (n, 3) in degrees, for rows of points: x R."""
    cos, sin = np.cos(np.radians(angles)), np.sin(np.radians(angles))
    one, zero = np.ones(len(angles)), np.zeros(len(angles))
    (cx, cy, cz), (sx, sy, sz) = cos.T, sin.T
    about_x = np.array([[one, zero, zero], [zero, cx, -sx], [zero, sx, cx]])
    about_y = np.array([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]])
    about_z = np.array([[cz, -sz, zero], [sz, cz, zero], [zero, zero, one]])
    turn = np.einsum("ijn,jkn,kln->nil", about_z, about_y, about_x)
    return np.asarray(turn.transpose(0, 2, 1), np.float32)


def drive(
    portrait: Portrait,
    motion: Motion,
    shut: Array,
    *,
    head_motion: float = 1.0,
    expression: float = 1.0,
    eye_motion: float = 1.0,
    region: str = "all",
) -> Array:
    """Return the keypoints (frames, 21, 3) of a portrait that moves as `motion` does from its first frame on.

    The head turns, shifts and grows relative to that frame, and so does the expression, but for the lips, which take
    what the model says. The three factors make each smaller or larger (1: as generated). `shut` (frames,) calms the
    eyes while a blink moves them, so that it closes them whatever the model does meanwhile. `region` animates a part
    only, as upstream does it: `pose` the rotation, `exp` the expression, `lip` the lips (relative to the first frame
    then); shift and scale move in each of them.
    """
    first = motion[:1]
    angles = first.angles + np.float32(head_motion) * (motion.angles - first.angles)
    if region not in ("all", "pose"):
        angles = np.repeat(first.angles, len(motion), axis=0)
    turn = rotation(angles) @ rotation(first.angles).transpose(0, 2, 1) @ rotation(portrait.angles[None])
    scale = portrait.scale * (motion.scale / first.scale) ** np.float32(head_motion)
    shift = portrait.shift + np.float32(head_motion) * (motion.shift - first.shift)

    change = motion.exp - first.exp
    if region == "lip":
        change[:, [point for point in range(KEYPOINTS) if point not in LIPS]] = 0.0
    else:
        change[:, LIPS] = motion.exp[:, LIPS] - portrait.exp[list(LIPS)]
    if region == "pose":
        change[:] = 0.0
    change *= np.float32(expression)
    change[:, EYES] *= (np.float32(eye_motion) * (1.0 - shut))[:, None, None]

    placed = scale[:, None, None] * (portrait.kp @ turn + portrait.exp + change)
    return np.asarray(placed + (shift * (1.0, 1.0, 0.0))[:, None], np.float32)
