"""The label that `--label` burns into a video: the letters AI in a box, in its lower right corner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_LETTERS = (
    ".............",
    "..###..####..",
    ".#...#..##...",
    ".#...#..##...",
    ".#...#..##...",
    ".#####..##...",
    ".#...#..##...",
    ".#...#..##...",
    ".#...#.####..",
    ".............",
)
_ON, _OFF = b"\xff\xff\xff", b"\x20\x20\x20"
_SMALLEST_PART = 96  # of the shorter side of the frame is one dot of a letter


@dataclass(frozen=True)
class Label:
    """The label for frames of one size: its place in pixels from the upper left, and its rows of RGB."""

    left: int
    top: int
    rows: tuple[bytes, ...]

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return len(self.rows[0]) // 3

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return len(self.rows)

    def onto(self, frame: memoryview, width: int) -> memoryview:
        """Return a copy of an RGB frame of `width` pixels a row with the label on it."""
        labelled = bytearray(frame)
        for number, row in enumerate(self.rows):
            at = ((self.top + number) * width + self.left) * 3
            labelled[at : at + len(row)] = row
        return memoryview(labelled)

    def to_ppm(self) -> bytes:
        """Return the label as a picture in a PPM file."""
        return f"P6 {self.width} {self.height} 255\n".encode() + b"".join(self.rows)


def label_for(width: int, height: int) -> Label:
    """Return the label for frames of `width` x `height` pixels; `ValueError` when they have no room for it."""
    dot = max(1, min(width, height) // _SMALLEST_PART)
    rows = tuple(_rows(dot))
    left, top = width - len(rows[0]) // 3 - 2 * dot, height - len(rows) - 2 * dot
    if left < 0 or top < 0:
        raise ValueError(f"frames of {width}x{height} have no room for a label")
    return Label(left, top, rows)


def _rows(dot: int) -> Iterator[bytes]:
    for line in _LETTERS:
        row = b"".join((_ON if cell == "#" else _OFF) * dot for cell in line)
        yield from [row] * dot
