"""What the networks hear of a clip: its voice, taken out of music and noise, as wav2vec2 understands it."""

from __future__ import annotations

import os
import shutil
import wave
from pathlib import Path
from typing import Any

import torch
from hallo.datasets.audio_processor import AudioProcessor
from hallo.utils.util import resample_audio

from faceorch_kit.weights import require

from .models import FPS, FRAMES, RATE, SEPARATOR, SEPARATOR_LISTS, WAV2VEC, WINDOW


def frame_count(path: Path) -> int:
    """Return how many frames cover a clip, the last one perhaps in part."""
    with wave.open(str(path), "rb") as clip:
        return max(1, -(-clip.getnframes() * FPS // clip.getframerate()))


class Hearing:
    """Upstream's processor of sound."""

    def __init__(self, weights: Path, device: str) -> None:
        _take_compiled()
        self._weights = weights
        self._separator: Any = None
        self._processor = AudioProcessor(RATE, FPS, str(weights / WAV2VEC), False, device=device)
        self._processor.audio_encoder.eval()

    def voice(self, clip: Path, folder: Path) -> Path:
        """Return a file in `folder` that holds the clip's voice alone; the clip itself where no voice is found."""
        if not _has_sound(clip):
            return clip
        separator = self._loaded()
        separator.output_dir = separator.model_instance.output_dir = str(folder)
        (name,) = separator.separate(str(clip))
        # The separator writes no file of a voice that is next to nothing.
        if not (folder / name).is_file():
            return clip
        return Path(resample_audio(str(folder / name), str(folder / "voice.wav"), RATE))

    def hear(self, voice: Path) -> torch.Tensor:
        """Return what is heard (frames, layers, values) for a whole number of the networks' clips."""
        heard, _ = self._processor.preprocess(str(voice), FRAMES)
        return torch.as_tensor(heard)

    def _loaded(self) -> Any:
        if self._separator is None:
            require(self._weights, SEPARATOR, *SEPARATOR_LISTS)
            from audio_separator.separator import Separator

            model = self._weights / SEPARATOR
            separator = Separator(
                output_dir=os.fspath(self._weights), output_single_stem="vocals", model_file_dir=str(model.parent)
            )
            separator.load_model(model.name)
            self._separator = separator
        return self._separator


def windows(heard: torch.Tensor, first: int) -> torch.Tensor:
    """Return what each frame from `first` on hears, its neighbours with it: (1, frames, window, layers, values)."""
    frames = torch.arange(first, first + FRAMES)[:, None]
    around = frames + torch.arange(-(WINDOW // 2), WINDOW // 2 + 1)
    return heard[around.clamp(0, len(heard) - 1)][None]


def _take_compiled() -> None:
    """Copy what the image holds of librosa's compiled parts to where numba looks for them, a folder it may write to."""
    compiled, cache = os.environ.get("HALLO_COMPILED"), os.environ.get("NUMBA_CACHE_DIR")
    if compiled and cache:
        shutil.copytree(compiled, cache, dirs_exist_ok=True)


def _has_sound(clip: Path) -> bool:
    with wave.open(str(clip), "rb") as file:
        return any(file.readframes(file.getnframes()))
