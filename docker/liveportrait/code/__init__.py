"""JoyVASA hears and moves, LivePortrait paints."""

from faceorch_kit.light import light, light_torch

light_torch()
# Of it HuBERT is used; the rest opens FFmpeg and SoX, and wakes torch's data sets.
light("torchaudio")
light("torchaudio.models")
