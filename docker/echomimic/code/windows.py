"""Which frames are denoised together: windows of a fixed length that overlap, shifted from step to step."""

from __future__ import annotations


def frame_count(seconds: float, fps: int) -> int:
    """Return the number of frames of a clip: the last one may be cut short by half its length at most."""
    return max(1, round(seconds * fps))


def windows(frames: int, step: int, size: int, overlap: int, *, closed: bool) -> list[list[int]]:
    """Return the frames of each window of one step, in the order in which their results are added up.

    `closed` is upstream's way: a clip is a loop, and in every step all windows move on by two frames, so that some
    hold frames of the clip's end and of its beginning. Otherwise they move likewise, but stay within the clip.
    """
    if frames <= size:
        first = 2 * step if closed else 0
        return [[(first + index) % frames for index in range(frames)]]
    stride = size - overlap
    if closed:
        return [[(first + index + 2 * step) % frames for index in range(size)] for first in range(0, frames, stride)]
    last = frames - size
    shift = 2 * step % stride
    firsts = sorted({min(max(first - shift, 0), last) for first in range(0, frames + shift, stride)})
    return [list(range(first, first + size)) for first in firsts]
