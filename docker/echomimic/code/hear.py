"""What the network hears: features of Whisper's encoder, ten of them around each frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from src.models.whisper.whisper.audio import N_FRAMES, log_mel_spectrogram, pad_or_trim

FEATURES_PER_S = 50
_BEFORE, _AFTER = 4, 6  # features before a frame's own moment, and from it on


@torch.no_grad()
def listen(encoder: Any, clip: Path, device: torch.device) -> torch.Tensor:
    """Return the features (moments, layers, values) of a clip, 50 moments a second, computed in pieces of 30 s.

    In fp16 on a GPU and in fp32 on a CPU, as upstream does.
    """
    mel = log_mel_spectrogram(str(clip))
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    heard = []
    for part in mel.split(N_FRAMES, dim=1):
        piece = pad_or_trim(part, N_FRAMES).to(device).to(dtype)
        _, layers = encoder(piece[None], include_embeddings=True)
        heard.append(layers[0].swapaxes(0, 1)[: part.shape[1] // 2])
    return torch.from_numpy(np.concatenate(heard))


def around(moments: int, frames: int, fps: int) -> NDArray[np.int64]:
    """Return which moments each frame hears (frames, 10); beyond the clip's ends, the first and the last again."""
    middle = np.arange(frames) * FEATURES_PER_S // fps
    return np.asarray(np.clip(middle[:, None] + np.arange(-_BEFORE, _AFTER), 0, moments - 1), np.int64)


@dataclass(frozen=True, eq=False)
class Sound:
    """What every frame hears: features (moments, layers, values), and which of them each frame does (frames, 10).

    Written out it would be five times as much, for every frame of a clip.
    """

    features: torch.Tensor
    moments: torch.Tensor

    @classmethod
    def of(cls, features: torch.Tensor, frames: int, fps: int) -> Sound:
        """Return what the frames of a clip hear of its features."""
        return cls(features, torch.from_numpy(around(len(features), frames, fps)))

    def to(self, device: torch.device, dtype: torch.dtype) -> Sound:
        """Return the same on `device`, the features in `dtype`."""
        return Sound(self.features.to(device, dtype), self.moments.to(device))

    def __getitem__(self, frames: torch.Tensor) -> torch.Tensor:
        """Return what frames (...) hear (..., tokens, values)."""
        return self.features[self.moments[frames]].flatten(-3, -2)
