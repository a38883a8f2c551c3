"""Both inputs of a run, read in the background while faceorch finds out what can run here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from faceorch.media.clip import LoadedClip, read_clip
from faceorch.media.portrait import LoadedPortrait, read_portrait


class Reading:
    """A portrait and a clip that are being read and normalised in memory."""

    def __init__(self, image: Path, audio: Path) -> None:
        pool = ThreadPoolExecutor(2, "reading")
        self._portrait, self._clip = pool.submit(read_portrait, image), pool.submit(read_clip, audio)
        pool.shutdown(wait=False)

    def result(self) -> tuple[LoadedPortrait, LoadedClip]:
        """Return both; `InputError` says in one line why one cannot be used."""
        return self._portrait.result(), self._clip.result()
