"""Speech to face coefficients: SadTalker's expression and pose networks over the clip, a few frames at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import yaml
from src.audio2exp_models.networks import SimpleWrapperV2
from src.audio2pose_models.audio2pose import Audio2Pose
from src.generate_batch import generate_blink_seq_randomly
from yacs.config import CfgNode

from faceorch_kit.weights import fill

from .files import WeightsFolder, main_file
from .frames import blinks, windows
from .upstream import config

Array = npt.NDArray[np.float32]

EXPRESSION = 64  # coefficients, followed by 3 angles and 3 of the translation
_FRAMES_AT_ONCE = 64
_SMOOTH, _ORDER = 13, 2  # the Savitzky-Golay filter of the pose


class Motion:
    """The two networks that listen."""

    def __init__(self, weights: WeightsFolder, size: int, device: str) -> None:
        name = main_file(size)
        settings = CfgNode(yaml.safe_load(config("auido2pose.yaml").read_text("utf-8")))
        self._device = device
        self._speak = fill(SimpleWrapperV2, weights.part(name, "audio2exp"), device, name)
        self._pose = fill(lambda: Audio2Pose(settings, None, device), weights.part(name, "audio2pose"), device, name)

    @torch.inference_mode()
    def coefficients(
        self, columns: Array, count: int, source: Array, *, seed: int, still: bool, pose_style: int, expression: float
    ) -> Array:
        """Return (count, 70) coefficients; `source` is the portrait's own row, whose pose `still` keeps."""
        face = torch.from_numpy(source[:EXPRESSION]).to(self._device)
        eyes = torch.from_numpy(blinks(generate_blink_seq_randomly, count, seed)).to(self._device)
        result = np.empty((count, 70), np.float32)
        for start in range(0, count, _FRAMES_AT_ONCE):
            stop = min(start + _FRAMES_AT_ONCE, count)
            shape = (1, stop - start, EXPRESSION)
            drawn = self._speak(self._heard(columns, start, stop), face.expand(shape), eyes[None, start:stop])
            result[start:stop, :EXPRESSION] = drawn[0].cpu().numpy()
        result[:, :EXPRESSION] *= expression
        poses = source[EXPRESSION:70] if still else self._poses(columns, count, source, seed, pose_style)
        result[:, EXPRESSION:] = poses
        return result

    def _poses(self, columns: Array, count: int, source: Array, seed: int, style: int) -> Array:
        """Return (count, 6): the portrait's pose, then the drawn motion in windows, smoothed."""
        length = self._pose.seq_len
        draw = torch.Generator().manual_seed(seed)
        start_pose = torch.from_numpy(source[EXPRESSION:70]).to(self._device)[None]
        kind = torch.tensor([style], device=self._device)
        moved = [torch.zeros(1, 6)]
        for start in range(1, count, length):
            wanted = min(length, count - start)
            # The last window reaches back to be full; a clip that is too short for one begins with copies of its start.
            first = min(start, max(1, count - length))
            heard = self._pose.audio_encoder(self._heard(columns, first, min(first + length, count))[None])
            missing = length - heard.shape[1]
            if missing:
                heard = torch.cat([heard[:, :1].expand(-1, missing, -1), heard], dim=1)
            noise = torch.randn(1, self._pose.latent_dim, generator=draw).to(self._device)
            batch = {"ref": start_pose, "class": kind, "z": noise, "audio_emb": heard}
            moved.append(self._pose.netG.test(batch)["pose_motion_pred"][0, -wanted:].cpu())
        return smooth(source[EXPRESSION:70] + torch.cat(moved).numpy())

    def _heard(self, columns: Array, start: int, stop: int) -> torch.Tensor:
        """Return (frames, 1, bands, columns): what is heard around each frame from `start` to `stop`."""
        return torch.from_numpy(windows(columns, start, stop)[:, None]).to(self._device)


def smooth(poses: Array) -> Array:
    """Return the poses without the jerks between windows; fewer than three frames stay as they are."""
    length = min(_SMOOTH, len(poses) - 1 + len(poses) % 2)
    if length <= _ORDER:
        return poses
    from scipy.signal import savgol_filter  # as long to import as a clip of a few seconds to hear

    return np.asarray(savgol_filter(poses, length, _ORDER, axis=0), np.float32)
