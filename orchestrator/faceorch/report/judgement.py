"""What the judge found, as the pages show it: claimed and measured side by side, and traces that a reader can check."""

from __future__ import annotations

from msgspec import Struct

from faceorch.record.claims import STILL_PICTURE, Agreement, compare_claims, face_in_still_picture, figure, name_of
from faceorch.record.judgement import Finding, Judgement, Trace, Verdict
from faceorch.record.run import Job, Run

# The findings that people came for stand in the table; the others are a click away.
_COLUMNS = ("head_motion", "hair_motion", "blinks", "lip_sync")
_STYLES = {
    Verdict.YES: "yes",
    Verdict.SLIGHT: "slight",
    Verdict.NO: "no",
    Verdict.UNCLEAR: "open",
    Verdict.NOT_MEASURABLE: "open",
}
_TRACES = {"yaw": "head turns", "closure": "eyes close", "mouth": "mouth opens"}
_VOICE = "voice"
_WIDTH, _HEIGHT = 240.0, 36.0


class Cell(Struct, frozen=True):
    """One finding beside its claim. `close` is how near it comes to the real footage, 1 at best; empty without one."""

    name: str
    says: str
    figure: str
    reason: str
    style: str
    claimed: str = ""
    differs: bool = False
    close: str = ""


class Spark(Struct, frozen=True):
    """A small picture of one series: `lines` are the points of its unbroken pieces, `voice` those of the clip's."""

    name: str
    lines: list[str]
    voice: str
    scale: str


class Row(Struct, frozen=True):
    """What was found in one video."""

    title: str
    reference: bool
    cells: list[Cell]
    others: list[Cell]
    sparks: list[Spark]
    still_picture: str
    notes: list[str]


class View(Struct, frozen=True):
    """The whole section; without rows, `missing` says why there are none (empty: nobody was asked to judge)."""

    columns: list[str]
    rows: list[Row]
    missing: str
    remedy: str
    different: str
    sources: list[tuple[str, str]]
    judge: str
    notes: list[str]
    compared: bool
    width: float = _WIDTH
    height: float = _HEIGHT


def view(run: Run) -> View:
    """Return the judge's findings of a run: the real footage first, then every video in the run's own order."""
    reference = run.reference
    judged = [job for job in run.jobs if job.judgement is not None]
    judged.sort(key=lambda job: job is not reference)
    real = reference.judgement if reference is not None else None
    judging = run.judging
    reason = None if judging is None else judging.reason
    judges = run.judges
    several = f"{len(judges)} different judges (in version, models, thresholds or operator)"
    return View(
        columns=[name_of(key) for key in _COLUMNS],
        rows=[_row(job, real, reference=job is reference) for job in judged],
        missing="" if reason is None else reason.text,
        remedy="" if reason is None else reason.remedy,
        different=f"These videos were judged by {several}: their findings are not to be compared."
        if len(judges) > 1
        else "",
        sources=[(job.title, job.claims.source) for job in judged if job.claims is not None and _claims(job)],
        judge="; ".join(_described(run)),
        notes=[] if judging is None else [f"judge: {note}" for note in judging.notes],
        compared=real is not None,
    )


def _claims(job: Job) -> bool:
    return job.claims is not None and bool(job.claims.head_motion or job.claims.eye_blinks)


def _described(run: Run) -> list[str]:
    """Return each judge in words, with what served in the place of a model that was missing."""
    return [
        ", ".join([f"judge {judge.version}", f"thresholds {judge.thresholds[:12]}", *judge.fallbacks])
        for judge in run.judges
    ]


def _row(job: Job, real: Judgement | None, *, reference: bool) -> Row:
    judgement = job.judgement
    assert judgement is not None
    claimed = {compared.key: compared for compared in compare_claims(job.claims, judgement)}
    # Of two judges, the numbers may mean two things.
    standard = None if reference or real is None or real.judge != judgement.judge else real
    cells = []
    for key in _COLUMNS:
        known = claimed.get(key)
        cells.append(
            _cell(
                key,
                judgement.findings.get(key),
                standard,
                claimed=(known.claimed or "") if known is not None else "",
                differs=known is not None and known.agreement is Agreement.DIFFERS,
            )
        )
    return Row(
        title=job.title,
        reference=reference,
        cells=cells,
        others=[_cell(key, found, standard) for key, found in judgement.findings.items() if key not in _COLUMNS],
        sparks=_sparks(judgement),
        still_picture=STILL_PICTURE if face_in_still_picture(judgement) else "",
        notes=list(judgement.notes),
    )


def _cell(
    key: str, finding: Finding | None, real: Judgement | None, *, claimed: str = "", differs: bool = False
) -> Cell:
    if finding is None:
        return Cell(name_of(key), "not measured", "", "the judge has no such metric", "open", claimed)
    standard = None if real is None else real.findings.get(key)
    close = None if standard is None else closeness(finding.value, standard.value)
    return Cell(
        name=name_of(key),
        says=finding.says or finding.verdict.value.replace("_", " "),
        figure=figure(finding),
        reason=finding.reason,
        style=_STYLES[finding.verdict],
        claimed=claimed,
        differs=differs,
        close="" if close is None else f"{close:.2f}",
    )


def closeness(value: float | None, real: float | None) -> float | None:
    """Return 1 - |x - real| / |real|, the form of THEval (Quignon et al., 2025); None where one of them is missing."""
    if value is None or real is None or real == 0:
        return None
    return 1 - abs(value - real) / abs(real)


def _sparks(judgement: Judgement) -> list[Spark]:
    voice = judgement.traces.get(_VOICE)
    length_s = max((trace.step_s * len(trace.values) for trace in judgement.traces.values()), default=0.0)
    return [
        _spark(name, judgement.traces[key], length_s, voice if key == "mouth" else None)
        for key, name in _TRACES.items()
        if key in judgement.traces and any(value is not None for value in judgement.traces[key].values)
    ]


def _spark(name: str, trace: Trace, length_s: float, voice: Trace | None) -> Spark:
    known = [value for value in trace.values if value is not None]
    low, high = min(known), max(known)
    unit = {"deg": "°"}.get(trace.unit, f" {trace.unit}" if trace.unit else "")
    return Spark(
        name=name,
        lines=_pieces(trace, length_s, low, high),
        voice="" if voice is None else _area(voice, length_s),
        scale=f"{low:.2g} to {high:.2g}{unit}",
    )


def _points(trace: Trace, length_s: float, low: float, high: float) -> list[str | None]:
    """Return the points of a trace in the picture, None where there is none; a still series is a line in its middle."""
    points: list[str | None] = []
    for index, value in enumerate(trace.values):
        if value is None:
            points.append(None)
            continue
        x = _WIDTH * index * trace.step_s / length_s
        share = (value - low) / (high - low) if high > low else 0.5
        points.append(f"{x:.1f},{_HEIGHT - 2 - share * (_HEIGHT - 4):.1f}")
    return points


def _pieces(trace: Trace, length_s: float, low: float, high: float) -> list[str]:
    pieces: list[list[str]] = [[]]
    for point in _points(trace, length_s, low, high):
        if point is not None:
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [" ".join(piece) for piece in pieces if len(piece) > 1]


def _area(voice: Trace, length_s: float) -> str:
    known = [value for value in voice.values if value is not None]
    if not known:
        return ""
    points = [point for point in _points(voice, length_s, min([*known, 0.0]), max([*known, 0.0])) if point is not None]
    first, last = points[0].partition(",")[0], points[-1].partition(",")[0]
    return " ".join([f"{first},{_HEIGHT:g}", *points, f"{last},{_HEIGHT:g}"])
