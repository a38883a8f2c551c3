"""What the judge claims, measured on people who talk.

    PYTHONPATH=docker/runner:docker/kit python benchmarks/judge.py FOLDER [--cache CACHE]

FOLDER holds the clips of docker/judge/calibration/clips.json, CACHE what the judge saw in them (see fit.py there).
Needs the judge's environment; takes minutes, on a CPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import wave
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

NEAR_S = 0.2  # how far from its label a blink may be found
ROOT = Path(__file__).resolve().parents[1]


class Bench:
    """The clips, and what was found in them; each is computed once, when a claim asks for it."""

    def __init__(self, folder: Path, cache: Path | None) -> None:
        self.folder, self.cache = folder, cache
        self.fit = _calibration()
        load = self.fit.load_module
        self.judge, self.blinks, self.selfcheck = (
            load(self.fit.CODE, "judge", name) for name in ("judge", "blinks", "selfcheck")
        )
        self.models = self.fit.models.Models()

    @cached_property
    def sync(self) -> list[Any]:
        """Each clip's lip-sync, by an operator that was fitted on the other speakers."""
        return list(self.fit.evaluate(self.fit.load(self.folder, self.cache)))

    @cached_property
    def clips(self) -> list[Path]:
        """All clips."""
        return sorted(self.folder.glob("*.mp4"))

    def lids(self, clip: Path) -> Any:
        """How far the lids of the face in a clip are shut."""
        video = self.fit.video.Video(clip)
        seen = self.fit.survey.survey(video)
        place = self.fit.faces.find_place(self.models, seen.probes)
        return self.judge.lids(self.fit.watching.watch(self.models, video, seen, place, None, lambda _: None))

    def paste(self, clip: Path, target: Path) -> Path:
        """Write a copy of a clip in which all but the face is that of its first frame; return its path."""
        landmarks, first = self.fit.faces.Landmarks(self.models, moving=True), None
        with av.open(str(target), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25, options={"crf": "18"})
            last = -1
            for frame in self.fit.video.Video(clip).frames():
                number, image = round(frame.time * 25), frame.image()
                height, width = (length // 2 * 2 for length in image.shape[:2])
                image = np.ascontiguousarray(image[:height, :width])
                if first is None:
                    first = image
                    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                mesh = landmarks.look(image, frame.time)
                made = first
                if mesh is not None:
                    oval = mesh.points[list(self.fit.faces.OVAL), :2].astype(np.int32)
                    inside = cv2.fillConvexPoly(np.zeros((height, width), np.uint8), oval, 255)
                    share = cv2.GaussianBlur(inside, (0, 0), 3)[..., None] / 255.0
                    made = np.rint(share * image + (1 - share) * first).astype(np.uint8)
                if number <= last:
                    continue
                last = number
                picture = av.VideoFrame.from_ndarray(made, format="rgb24")
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        landmarks.close()
        return target

    def verdict(self, clip: Path, metric: str) -> str:
        """The verdict on a clip, with its own first frame as the portrait and its own sound."""
        with tempfile.TemporaryDirectory() as folder:
            portrait, sound = Path(folder) / "face.png", Path(folder) / "clip.wav"
            frame = next(self.fit.video.Video(clip).frames())
            cv2.imwrite(str(portrait), cv2.cvtColor(frame.image(), cv2.COLOR_RGB2BGR))
            samples = self.fit.video.Video(clip).sound()
            _write_wav(sound, np.zeros(16000, np.float32) if samples is None else samples)
            session = self.judge.Session(self.models, "")
            made = session.judge(portrait, sound, clip, Path(folder) / "series.parquet", lambda _: None)
        return str(made["findings"][metric]["verdict"])


def drawn_heads(bench: Bench) -> list[str]:
    """A drawn roll of the head measures within 0.5 degrees of what was drawn."""
    lines = []
    for degrees in (0.0, 1.0, 2.0, 4.0, 8.0):
        found = bench.selfcheck.measure(bench.models, bench.selfcheck.Drawn(8.0, degrees))
        lines.append(f"{2 * degrees * np.sin(np.pi * 0.45):5.2f} degrees drawn, {found.range_deg:5.2f} measured")
    return lines


def labelled_blinks(bench: Bench) -> list[str]:
    """Every blink that was labelled by eye is found, and no other."""
    labels = json.loads((bench.fit.HERE / "blinks.json").read_text("utf-8"))
    del labels["about"]
    witnesses = {"eye aspect ratio": bench.blinks.seen, "landmark model": bench.blinks.seen_by_model}
    found, false = dict.fromkeys(witnesses, 0), dict.fromkeys(witnesses, 0)
    for name, times in labels.items():
        lids = bench.lids(bench.folder / name)
        for witness, see in witnesses.items():
            seen = list(see(lids).times)
            right = sum(any(abs(at - label) <= NEAR_S for at in seen) for label in times)
            found[witness] += right
            false[witness] += len(seen) - right
    total = sum(len(times) for times in labels.values())
    return [f"{witness}: {found[witness]} of {total} found, {false[witness]} others" for witness in witnesses]


def real_and_pasted_hair(bench: Bench) -> list[str]:
    """Hair moves where somebody talks, and does not where the face moves inside a still picture."""
    lines = []
    for what, change in (("real clips", None), ("the face pasted into the first frame", bench.paste)):
        counts: dict[str, int] = {}
        for clip in bench.clips:
            with tempfile.TemporaryDirectory() as folder:
                shown = clip if change is None else change(clip, Path(folder) / clip.name)
                verdict = bench.verdict(shown, "hair_motion")
            counts[verdict] = counts.get(verdict, 0) + 1
        lines.append(f"{what}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))
    return lines


def swapped_sound(bench: Bench) -> list[str]:
    """A clip's own sound has a greater S than another speaker's."""
    matched = np.array([result.matched.strength for result in bench.sync])
    swapped = np.concatenate([result.swapped for result in bench.sync])
    return [
        f"AUC {bench.fit.auc(bench.sync):.3f} over {len(matched)} clips",
        f"S {matched.mean():.2f} +- {matched.std():.2f} with their own sound",
        f"S {swapped.mean():.2f} +- {swapped.std():.2f} with another speaker's",
    ]


def shifted_sound(bench: Bench) -> list[str]:
    """When the sound comes later, the best lag moves by as much."""
    found = bench.fit.found_shifts(bench.sync)
    return [f"{shift} ms later: within 20 ms in {right} of {of} clips" for shift, (right, of) in found.items()]


def _write_wav(path: Path, samples: Any) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


CLAIMS: tuple[Callable[[Bench], list[str]], ...] = (
    drawn_heads,
    labelled_blinks,
    swapped_sound,
    shifted_sound,
    real_and_pasted_hair,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    given = parser.parse_args()
    bench = Bench(given.folder, given.cache)
    for claim in CLAIMS:
        print(claim.__doc__)
        for line in claim(bench):
            print(f"    {line}", flush=True)


def _calibration() -> Any:
    path = ROOT / "docker" / "judge" / "calibration" / "fit.py"
    spec = importlib.util.spec_from_file_location("judge_calibration", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge_calibration"] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
