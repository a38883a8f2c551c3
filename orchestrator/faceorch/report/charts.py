"""The charts of the page as geometry: what is where, in shares of a chart's width and height; the template draws it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from faceorch.record.folder import RunFolder
from faceorch.record.judgement import Verdict
from faceorch.record.kinds import JobStatus
from faceorch.record.run import Job, Repetition, Run
from faceorch.telemetry import thinned
from faceorch.telemetry.thinned import BINS, Timeline
from faceorch.words import duration, number, size

PALETTE = 7  # colours --n0 to --n6 of charts.css

# Quantities of a timeline in their order: key, name, how its greatest value is written.
_STRIPS: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("vram_bytes", "GPU memory", size),
    ("gpu_utilisation_percent", "GPU busy", lambda value: f"{number(value)} %"),
    ("power_w", "power", lambda value: f"{number(value)} W"),
    ("cpu_cores", "CPU cores", number),
    ("memory_bytes", "memory", size),
)
# The stages that every job has, with the class of their colour; a network's own stages are parts of animating.
_STAGES = {"start": "start_s", "import": "import_s", "check": "check_s", "setup": "setup_s", "stop": "stop_s"}
# Ranges that are drawn: key of the spread, name, how it is written.
_RANGES: tuple[tuple[str, str, Callable[[float | None], str]], ...] = (
    ("total_s", "end to end", duration),
    ("animate_s", "animate (warm)", duration),
    ("energy_wh", "energy", lambda value: f"{number(value)} Wh"),
    ("vram_peak_bytes", "peak VRAM", size),
)


class Band(Struct, frozen=True):
    """A stage: its name and class, and from where to where it reaches, in percent."""

    name: str
    kind: str
    left: float
    width: float


class Strip(Struct, frozen=True):
    """One quantity of one network: an SVG path in a field of 100 by 100, and its peak as text."""

    name: str
    path: str
    peak: str


class Panel(Struct, frozen=True):
    """One network's timeline; `reach` is the part of the common time axis that it takes, in percent."""

    title: str
    colour: int
    length: str
    reach: float
    bands: list[Band]
    strips: list[Strip]


class Span(Struct, frozen=True):
    """The range of one network's figure: places in percent, and the same as text."""

    title: str
    colour: int
    low: float
    middle: float
    high: float
    ticks: list[float]
    text: str


class Ranges(Struct, frozen=True):
    """One figure of all networks."""

    name: str
    spans: list[Span]
    end: str


class Dot(Struct, frozen=True):
    """One network in the trade-off plot, in the units of its field; `mark` says what the judge found of the lips.

    Its label begins at (`label_x`, `label_y`), or ends there when `to_the_left` of its dot.
    """

    title: str
    colour: int
    x: float
    y: float
    mark: str
    text: str
    label_y: float = 0.0

    @property
    def label(self) -> str:
        """The title, as far as there is room."""
        return self.title[:28]

    @property
    def to_the_left(self) -> bool:
        """Whether its label stands to the left of it, for want of room to the right."""
        return self.x > 0.75 * WIDTH

    @property
    def label_x(self) -> float:
        """Where the label begins, or ends."""
        return self.x + (-11 if self.to_the_left else 11)


class TradeOff(Struct, frozen=True):
    """Time against energy (or, without energy, against what the judge found); a field of `WIDTH` by `HEIGHT`."""

    dots: list[Dot]
    x_name: str
    y_name: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    judged: bool


WIDTH, HEIGHT = 480, 320
LEFT, BOTTOM, RIGHT, TOP = 64, 44, 24, 16


class Charts(Struct, frozen=True):
    """Every chart of a run; empty lists and None for those for which nothing was measured."""

    panels: list[Panel]
    axis: str
    ranges: list[Ranges]
    trade_off: TradeOff | None


def charts(folder: RunFolder) -> Charts:
    """Return the charts of a run."""
    run = folder.run
    colours = {job.network: at % PALETTE for at, job in enumerate(run.jobs)}
    jobs = [job for job in run.jobs if job.timeline and job.status in (JobStatus.DONE, JobStatus.FAILED)]
    read = ((job.network, thinned.read(folder.path, job.timeline or "", job.repetition or 1)) for job in jobs)
    found = {network: line for network, line in read if line is not None}
    longest_s = max((line.length_s for line in found.values()), default=0.0)
    return Charts(
        panels=panels([job for job in jobs if job.network in found], found, colours),
        axis=duration(longest_s),
        ranges=[chart for key, name, show in _RANGES if (chart := ranges(run, key, name, show, colours))],
        trade_off=trade_off(run, colours),
    )


def panels(jobs: Sequence[Job], found: Mapping[str, Timeline], colours: Mapping[str, int]) -> list[Panel]:
    """Return a panel per network; a quantity has one scale in all of them, and time has one axis."""
    if not found:
        return []
    longest_s = max(line.length_s for line in found.values())
    tops = {key: max((_top(line, key) for line in found.values()), default=0.0) for key, _, _ in _STRIPS}
    made = []
    for job in jobs:
        line = found[job.network]
        strips = [
            Strip(name, area(line.series[key], tops[key]), show(_top(line, key)))
            for key, name, show in _STRIPS
            if key in line.series and tops[key] > 0
        ]
        reach = 100 * line.length_s / longest_s
        made.append(Panel(job.title, colours[job.network], duration(line.length_s), reach, _bands(line), strips))
    return made


def _top(line: Timeline, key: str) -> float:
    return max((value for value in line.series.get(key, []) if value is not None), default=0.0)


def _bands(line: Timeline) -> list[Band]:
    """Return the stages as bands, the shortest left out: they could not be seen."""
    scale = 100 / line.length_s
    return [
        Band(
            stage.name, _STAGES.get(stage.name, "animate_s"), scale * stage.from_s, scale * (stage.to_s - stage.from_s)
        )
        for stage in line.stages
        if scale * (stage.to_s - stage.from_s) > 0.2
    ]


def area(values: Sequence[float | None], top: float) -> str:
    """Return a series as the outline of an area in a field of 100 by 100; a gap keeps the value before it."""
    points, last = [], 0.0
    for at, value in enumerate(values):
        last = last if value is None else value
        points.append(f"{100 * (at + 0.5) / BINS:.1f} {100 - 96 * last / top:.1f}")
    return f"M0 100L{'L'.join(points)}L100 100Z"


def ranges(
    run: Run, key: str, name: str, show: Callable[[float | None], str], colours: Mapping[str, int]
) -> Ranges | None:
    """Return the picture of one figure's ranges; None without repetitions."""
    jobs = [job for job in run.jobs if key in job.spreads and job.spreads[key].count > 1]
    end = max((job.spreads[key].max for job in jobs), default=0.0)
    if not jobs or end <= 0:
        return None
    spans = []
    for job in jobs:
        spread = job.spreads[key]
        each = [_of(repetition, key) for repetition in job.repetitions if not repetition.warmup]
        text = f"{show(spread.median)} ({show(spread.min)} to {show(spread.max)})"
        low, middle, high = (100 * value / end for value in (spread.min, spread.median, spread.max))
        ticks = [100 * value / end for value in each if value is not None]
        spans.append(Span(job.title, colours[job.network], low, middle, high, ticks, text))
    return Ranges(name, spans, show(end))


def _of(repetition: Repetition, key: str) -> float | None:
    if key in repetition.metrics:
        return repetition.metrics[key].value
    found: float | None = getattr(repetition.times, key, None)
    return found


def trade_off(run: Run, colours: Mapping[str, int]) -> TradeOff | None:
    """Return seconds against joules, both for a second of video, with what the judge found of the lips.

    Without energy, the judge's lip-sync takes its axis; without that there is no plot, and none for one network.
    """
    done = [
        job for job in run.jobs if job.status is JobStatus.DONE and job.video and (job.compute_s_per_video_s or 0) > 0
    ]
    energy = {job.network: value for job in done if (value := _joules(job))}
    lips = {job.network: value for job in done if (value := _lips(job)) is not None}
    heights = energy if len(energy) > 1 else lips
    shown = [job for job in done if job.network in heights]
    if len(shown) < 2:
        return None
    x_values = [job.compute_s_per_video_s or 0.0 for job in shown]
    y_values = [heights[job.network] for job in shown]
    x_scale, x_ticks = logarithmic(x_values, LEFT, WIDTH - RIGHT)
    y_scale, y_ticks = (logarithmic if heights is energy else linear)(y_values, HEIGHT - BOTTOM, TOP)
    dots = []
    for job, x, y in zip(shown, x_values, y_values, strict=True):
        found = job.judgement.findings.get("lip_sync") if job.judgement is not None else None
        mark = "none" if found is None else _MARKS.get(found.verdict, "none")
        said = "lips not judged" if found is None else f"lips: {found.says}"
        unit = "J per s of video" if heights is energy else "lip-sync"
        text = f"{job.title}: {number(x)} s per s of video, {number(y)} {unit}, {said}"
        dots.append(Dot(job.title, colours[job.network], x_scale(x), y_scale(y), mark, text))
    dots = _labelled(dots)
    y_name = "joules per second of video" if heights is energy else "lip-sync, as the judge found it"
    return TradeOff(dots, "seconds per second of video", y_name, x_ticks, y_ticks, judged=bool(lips))


_LETTER_WIDTH, _LINE_HEIGHT = 7.5, 14.0  # of the labels, in the units of the field


def _labelled(dots: Sequence[Dot]) -> list[Dot]:
    """Return the dots with a place for each label: beside its dot, and below another label that is there already."""
    taken: list[tuple[float, float, float]] = []
    found: dict[int, Dot] = {}
    for at, dot in sorted(enumerate(dots), key=lambda item: item[1].y):
        width = _LETTER_WIDTH * len(dot.label)
        left = dot.label_x - (width if dot.to_the_left else 0)
        y = dot.y + 4
        for from_x, to_x, other_y in taken:  # from above
            if left < to_x and from_x < left + width and abs(y - other_y) < _LINE_HEIGHT:
                y = other_y + _LINE_HEIGHT
        taken.append((left, left + width, y))
        taken.sort(key=lambda label: label[2])
        found[at] = replace(dot, label_y=y)
    return [found[at] for at in range(len(dots))]


_MARKS = {Verdict.YES: "yes", Verdict.SLIGHT: "slight", Verdict.NO: "no"}


def _joules(job: Job) -> float | None:
    used = job.metrics.get("energy_wh")
    if used is None or (used.value or 0) <= 0 or job.video is None or not job.video.duration_s:
        return None
    return 3600 * (used.value or 0) / job.video.duration_s


def _lips(job: Job) -> float | None:
    found = job.judgement.findings.get("lip_sync") if job.judgement is not None else None
    return None if found is None else found.value


Scale = Callable[[float], float]


def logarithmic(values: Sequence[float], start: float, end: float) -> tuple[Scale, list[tuple[float, str]]]:
    """Return a logarithmic scale over whole decades, or halves of one, and its ticks."""
    low, high = math.log10(min(values)), math.log10(max(values))
    low, high = math.floor(2 * low - 0.1) / 2, math.ceil(2 * high + 0.1) / 2

    def scale(value: float) -> float:
        return start + (math.log10(value) - low) / (high - low) * (end - start)

    ticks = [f * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for f in (1, 2, 5)]
    shown = [tick for tick in ticks if low <= math.log10(tick) <= high]
    if len(shown) > 6:
        shown = [tick for tick in shown if math.log10(tick).is_integer()]
    return scale, [(scale(tick), f"{tick:g}") for tick in shown]


def linear(values: Sequence[float], start: float, end: float) -> tuple[Scale, list[tuple[float, str]]]:
    """Return a linear scale that holds the values with some room around them, and ticks at round numbers."""
    low, high = min(values), max(values)
    room = 0.1 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - room, high + room

    def scale(value: float) -> float:
        return start + (value - low) / (high - low) * (end - start)

    power = math.floor(math.log10(high - low))
    step = next(step for factor in (0.2, 0.5, 1, 2) if (high - low) / (step := factor * 10.0**power) < 6)
    ticks = [step * at for at in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return scale, [(scale(tick), f"{tick:.{max(0, 1 - power)}f}") for tick in ticks]
