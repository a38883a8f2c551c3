"""JoyVASA hears and moves, LivePortrait paints."""

from faceorch_kit.light import light_torch

light_torch()
