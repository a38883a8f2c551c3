"""The judge judges itself: drawn clips whose motion, blinks and mouth are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from faceorch_kit import portrait as portraits
from faceorch_runner import RunnerError

from .blinks import Lids, seen, seen_by_model
from .faces import TURN, Head, Landmarks, Mesh, find_place
from .head import head_motion
from .models import Models
from .mouth import mouth, opening
from .signals import Floats
from .video import Image

_FACE = Path(__file__).with_name("face.jpg")
_FPS = 25.0
ROLL_DEG, SWING_HZ = 4.0, 1 / 3
_RANGE_DEG = 2 * ROLL_DEG * np.sin(np.pi * 0.45)  # from the 5th to the 95th percentile of a sine
_WITHIN_DEG, _LAG_MS = 0.5, 30.0  # the landmark model follows lips 20 ms late
_SHUT_S = 0.16  # from open to open


@dataclass(frozen=True)
class Drawn:
    """A clip to draw: its length, how far the head rolls to each side, when it blinks, whether the mouth moves."""

    seconds: float
    roll_deg: float = 0.0
    blinks_s: tuple[float, ...] = ()
    speaks: bool = False

    @property
    def times(self) -> Floats:
        """The times of its frames."""
        return np.arange(round(self.seconds * _FPS)) / _FPS

    def openness(self, times: Floats) -> Floats:
        """Return how far the mouth is open at `times`, 0 to 1."""
        wave = 0.5 - 0.5 * np.cos(2 * np.pi * 1.7 * times)
        return wave * (0.65 + 0.35 * np.sin(2 * np.pi * 0.43 * times)) if self.speaks else np.zeros(len(times))

    def frames(self, face: Image, mesh: Mesh) -> Iterator[Image]:
        """Draw them from a portrait and its landmarks."""
        height, width = face.shape[:2]
        for time, opened in zip(self.times, self.openness(self.times), strict=True):
            made = _open_mouth(face, mesh, float(opened)) if opened > 0 else face
            shut = max((1 - abs(time - at) / (_SHUT_S / 2) for at in self.blinks_s), default=0.0)
            if shut > 0:
                made = _shut_eyes(made, mesh, min(1.0, 1.5 * shut))
            roll = self.roll_deg * np.sin(2 * np.pi * SWING_HZ * time)
            turn = cv2.getRotationMatrix2D((width / 2, 0.8 * height), roll, 1.0)
            turned = cv2.warpAffine(made, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
            yield np.asarray(turned, np.uint8)


@dataclass(frozen=True)
class Measured:
    """What the judge found in a drawn clip."""

    range_deg: float
    blinks: int
    blinks_model: int
    mouth_iod: float
    lag_ms: float


def quick_check(models: Models) -> str:
    """Judge three drawn seconds; return "" when the judge found what was drawn, otherwise what it got wrong."""
    drawn = Drawn(3.0, ROLL_DEG, (0.9, 2.1), speaks=True)
    found = measure(models, drawn)
    if found is None:
        return "the judge fails its check of itself: it finds no face in the clip that it has drawn"
    wrong = list(_wrong(drawn, found))
    return f"the judge fails its check of itself: {'; '.join(wrong)}" if wrong else ""


def full_check(models: Models, progress: Callable[[float], None]) -> list[str]:
    """Judge one drawn clip for each thing alone; return a line for each, `RunnerError` when one is wrong."""
    drawings = {
        "a still face": Drawn(6.0),
        "a head that rolls": Drawn(8.0, ROLL_DEG),
        "two blinks": Drawn(6.0, blinks_s=(1.5, 4.0)),
        "a mouth that moves": Drawn(6.0, speaks=True),
        "all of it": Drawn(10.0, ROLL_DEG, (2.0, 5.0, 7.5), speaks=True),
    }
    lines = []
    for number, (name, drawn) in enumerate(drawings.items(), 1):
        found = measure(models, drawn)
        wrong = ["no face is found"] if found is None else list(_wrong(drawn, found))
        if wrong or found is None:
            raise RunnerError(f"{name}: {'; '.join(wrong)}")
        lines.append(
            f"{name}: {found.range_deg:.2f} degrees, {found.blinks} blinks, mouth {found.mouth_iod:.3f} eye distances"
        )
        progress(number / len(drawings))
    return lines


def measure(models: Models, drawn: Drawn) -> Measured | None:
    """Return what the judge finds in a drawn clip; None when it finds no face."""
    face = portraits.read(_FACE)
    still = Landmarks(models, moving=False)
    mesh = still.look(face)
    still.close()
    place = find_place(models, [face])
    if mesh is None or place is None:
        return None
    watcher = Head(models)
    rows = []
    for time, image in zip(drawn.times, drawn.frames(face, mesh), strict=True):
        found, turn = watcher.look(place.cut(image), float(time))
        if found is None:
            return None
        rows.append(found.facts() | dict.fromkeys(TURN, np.nan) | turn)
    watcher.close()
    times = drawn.times
    series = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    pose = np.stack([series[name] for name in TURN], axis=1)
    head = head_motion(times, pose, np.stack([series["x"], series["y"]], axis=1) / np.median(series["iod"]))
    at, opened = opening(times, series["open"])
    lids = Lids.of(
        times,
        np.stack([series["eye_left"], series["eye_right"]], axis=1),
        np.stack([series["width_left"], series["width_right"]], axis=1),
        series["blink"],
    )
    roll = head.details["roll_deg"]  # nothing else is drawn, and lids and lips make the model see a little more
    return Measured(
        range_deg=np.nan if roll is None else roll,
        blinks=len(seen(lids).times),
        blinks_model=len(seen_by_model(lids).times),
        mouth_iod=float(mouth(opened).value or 0.0),
        lag_ms=_lag_ms(opened, drawn.openness(at), float(at[1] - at[0])),
    )


def _wrong(drawn: Drawn, found: Measured) -> Iterator[str]:
    wanted = _RANGE_DEG if drawn.roll_deg else 0.0
    if abs(found.range_deg - wanted) > _WITHIN_DEG:
        yield f"a roll of {wanted:.1f} degrees measures {found.range_deg:.1f}"
    if found.blinks != len(drawn.blinks_s):
        yield f"{len(drawn.blinks_s)} blinks measure {found.blinks}"
    if drawn.speaks != (found.mouth_iod >= 0.08):
        yield f"the mouth's opening measures {found.mouth_iod:.3f}"
    if drawn.speaks and abs(found.lag_ms) > _LAG_MS:
        yield f"a mouth in step measures {found.lag_ms:+.0f} ms"


def _lag_ms(measured: Floats, drawn: Floats, step_s: float) -> float:
    """Return by how much `measured` (n,) is behind `drawn` (n,), from their correlation within 200 ms."""
    reach = round(0.2 / step_s)
    shifts = range(-reach, reach + 1)
    if np.ptp(drawn) == 0:
        return 0.0
    inner = drawn[reach:-reach]
    likeness = [np.corrcoef(measured[reach + shift : len(measured) - reach + shift], inner)[0, 1] for shift in shifts]
    best = min(max(int(np.argmax(likeness)), 1), len(likeness) - 2)
    before, peak, after = likeness[best - 1 : best + 2]  # the parabola through the three has its own peak
    return float((shifts[best] + 0.5 * (before - after) / (before - 2 * peak + after)) * step_s * 1000)


def _shut_eyes(face: Image, mesh: Mesh, share: float) -> Image:
    """Draw the upper lids down over the eyes by a share of their height, with skin from above them."""
    made = face.copy()
    for corners, upper, lower, brow in (((33, 133), 159, 145, 105), ((362, 263), 386, 374, 334)):
        left, right = sorted(float(mesh.points[corner, 0]) for corner in corners)
        top, bottom = float(mesh.points[upper, 1]), float(mesh.points[lower, 1])
        crease = top - 0.35 * (top - float(mesh.points[brow, 1]))
        middle, half = (left + right) / 2, 0.62 * (right - left)
        lid = top + share * (bottom - top)
        columns = np.arange(max(0, int(middle - half)), min(face.shape[1], int(middle + half) + 1))
        arch = np.sqrt(np.clip(1 - ((columns - middle) / half) ** 2, 0, 1))
        for column, curve in zip(columns, arch, strict=True):
            edge = crease + curve * (lid - crease)
            floor = crease + curve * (bottom + 1 - crease)
            for row in range(int(crease), int(np.ceil(floor)) + 1):
                if row <= edge:  # the skin between crease and lid, stretched
                    part = (row - crease) / max(edge - crease, 1.0)
                    made[row, column] = face[int(crease + part * 0.8 * (top - crease) * curve), column]
                elif row - edge < 1.5 and share > 0.6:
                    made[row, column] = face[row, column] // 3  # the lashes
    return np.asarray(made, np.uint8)


def _open_mouth(face: Image, mesh: Mesh, opened: float) -> Image:
    """Move what lies below the lips' meeting line down, by 0.28 eye distances at most, and darken the gap."""
    height, width = face.shape[:2]
    line = float(mesh.points[[13, 14], 1].mean())
    left, right = sorted(float(mesh.points[corner, 0]) for corner in (61, 291))
    middle, half = (left + right) / 2, 0.5 * (right - left)
    gap = 0.28 * mesh.iod * opened
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    arch = np.sqrt(np.clip(1 - ((columns - middle) / half) ** 2, 0, 1))
    reach = 1.2 * mesh.iod
    below = np.clip((rows - line) / reach, 0, 1)
    drop = np.where(
        rows > line, gap * np.maximum(arch, 0.25 * (np.abs(columns - middle) < 1.6 * half)) * (1 - below), 0
    )
    moved = cv2.remap(
        face, columns, (rows - drop).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    dark = (rows > line) & (rows - drop < line) & (arch > 0)
    moved[dark] = (40, 15, 15)
    return np.asarray(moved, np.uint8)
