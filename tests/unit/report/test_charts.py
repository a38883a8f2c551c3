"""The charts' geometry: places that follow from the figures, and no chart where there is nothing to draw."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import structs

from faceorch.record.folder import RunFolder
from faceorch.record.run import Measured
from faceorch.report import charts
from tests.made_up import make_comparison

COLOURS = {"alder": 0, "birch": 1, "cedar": 2}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=3, seconds=0.5)


def test_time_has_one_axis_and_quantities_one_scale(run: RunFolder) -> None:
    found = charts.charts(run)
    assert [panel.title for panel in found.panels] == ["Alder", "Birch", "Cedar"]
    assert found.panels[-1].reach == 100
    assert found.panels[0].reach == pytest.approx(100 * 9.75 / 33.75, abs=0.5)
    assert [strip.name for strip in found.panels[0].strips] == [
        "GPU memory",
        "GPU busy",
        "power",
        "CPU cores",
        "memory",
    ]
    peaks = [min(map(float, re.findall(r" ([\d.]+)", panel.strips[0].path))) for panel in found.panels]
    assert peaks == sorted(peaks, reverse=True), "a network that needs more reaches higher"
    assert [band.name for band in found.panels[0].bands] == ["start", "import", "setup", "animate"]


def test_ranges_are_drawn_with_every_repetition(run: RunFolder) -> None:
    chart = charts.ranges(run.run, "animate_s", "animate", str, COLOURS)
    assert chart is not None
    spans = {span.title: span for span in chart.spans}
    assert spans["Cedar"].high == 100
    assert len(spans["Alder"].ticks) == 3
    assert spans["Alder"].low == min(spans["Alder"].ticks)
    assert charts.ranges(run.run, "no such figure", "", str, COLOURS) is None


def test_seconds_against_joules_and_what_the_judge_found(run: RunFolder) -> None:
    plot = charts.trade_off(run.run, COLOURS)
    assert plot is not None
    assert plot.y_name == "joules per second of video"
    assert [dot.mark for dot in plot.dots] == ["yes"] * 3
    assert sorted(dot.x for dot in plot.dots) == [dot.x for dot in plot.dots], "slower is further right"
    assert sorted((dot.y for dot in plot.dots), reverse=True) == [dot.y for dot in plot.dots], (
        "more energy is higher up"
    )
    assert "lips: follows the speech" in plot.dots[0].text


@pytest.mark.parametrize(("judged", "axis"), [(True, "lip-sync, as the judge found it"), (False, None)])
def test_without_energy_the_judge_has_its_axis(tmp_path: Path, judged: bool, axis: str | None) -> None:
    run = make_comparison(tmp_path / "run", count=2, seconds=0.5, gpu=False, judged=judged)
    plot = charts.trade_off(run.run, COLOURS)
    assert (plot and plot.y_name) == axis


def test_one_network_has_no_trade_off_and_what_was_not_measured_no_panel(run: RunFolder) -> None:
    run.run.jobs = [structs.replace(run.run.jobs[0], timeline=None)]
    found = charts.charts(run)
    assert (found.panels, found.trade_off) == ([], None)


@pytest.mark.parametrize("seconds", [None, 0.0, -1.0])
def test_figures_that_cannot_be_are_left_out(run: RunFolder, seconds: float | None) -> None:
    """A record may be anybody's: its numbers are not all times and energies."""
    used = Measured(value=-5.0, unit="Wh", method="energy_counter")
    alder, birch = run.run.jobs[:2]
    run.run.put(structs.replace(alder, compute_s_per_video_s=seconds))
    run.run.put(structs.replace(birch, metrics={"energy_wh": used}))
    plot = charts.trade_off(run.run, COLOURS)
    assert plot is not None
    assert plot.y_name == "lip-sync, as the judge found it"
    assert [dot.title for dot in plot.dots] == ["Birch", "Cedar"]


@pytest.mark.parametrize("values", [[1.0, 1.0], [0.001, 5000.0], [3.0, 4.0]])
def test_a_scale_holds_its_values(values: list[float]) -> None:
    for make in (charts.logarithmic, charts.linear):
        scale, ticks = make(values, 10, 90)
        assert all(10 <= scale(value) <= 90 for value in values)
        assert 1 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.534, 0.544], ["0.535", "0.540", "0.545"]),
        ([0.5, 0.9], ["0.50", "0.60", "0.70", "0.80", "0.90"]),
        ([-3.0, 12.0], ["0", "5", "10"]),
        ([0.0, 0.0], ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        ([1e5, 9e5], ["200000", "400000", "600000", "800000"]),
    ],
)
def test_ticks_of_a_linear_scale_are_round_and_differ(values: list[float], ticks: list[str]) -> None:
    assert [text for _, text in charts.linear(values, 0, 100)[1]] == ticks


def test_labels_of_dots_that_lie_together_do_not_cover_each_other() -> None:
    dots = [charts.Dot(name, 0, x, y, "none", "") for name, x, y in (
        ("EchoMimic", 200.0, 150.0), ("SadTalker", 215.0, 152.0), ("Third", 230.0, 153.0), ("Far", 400.0, 151.0),
    )]  # fmt: skip
    placed = {dot.title: dot for dot in charts._labelled(dots)}
    heights = [placed[name].label_y for name in ("EchoMimic", "SadTalker", "Third")]
    assert heights == [154.0, 168.0, 182.0]
    assert placed["Far"].label_y == 155.0
    assert (placed["Far"].to_the_left, placed["Far"].label_x) == (True, 389.0)
