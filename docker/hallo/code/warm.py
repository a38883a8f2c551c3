"""Let librosa read and resample a tone, so that numba keeps what it compiles for that."""

from __future__ import annotations

import math
import struct
import tempfile
import wave

import librosa

with tempfile.NamedTemporaryFile(suffix=".wav") as file:
    with wave.open(file.name, "wb") as clip:
        clip.setnchannels(1)
        clip.setsampwidth(2)
        clip.setframerate(24000)
        clip.writeframes(b"".join(struct.pack("<h", int(9999 * math.sin(n / 9))) for n in range(24000)))
    for rate in (44100, 16000):
        librosa.load(file.name, sr=rate, mono=rate == 16000)
