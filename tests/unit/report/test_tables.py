"""The tables of the report: every network, what its figures mean, and a mark for what is really the best."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import html
from msgspec import structs

from faceorch.record.folder import RunFolder
from faceorch.record.run import About, Spread, Times
from faceorch.report import costs, tables, write_report
from faceorch.report.columns import columns
from tests.made_up import make_comparison

COLUMN = {column.key: column for column in columns()}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=3, seconds=1.0)


def shown(run: RunFolder, table: str, network: str) -> dict[str, str]:
    (found,) = [t for t in tables.tables(run.run) if t.key == table]
    (row,) = [row for row in found.rows if row.job.network == network]
    return {cell.column.key: cell.text for cell in row.cells}


def test_every_network_has_a_row_also_without_a_video(run: RunFolder) -> None:
    times, videos, prices = tables.tables(run.run)
    assert [(row.job.network, row.outcome) for row in times.rows] == [
        ("alder", "done"),
        ("birch", "done"),
        ("cedar", "done"),
        ("fir", "failed"),
        ("gum", "not run"),
    ]
    assert (
        times.rows[3].problem == "24 GB of GPU memory found, 40 GB needed. What to do: run it with --set fir.size=256"
    )
    assert times.rows[4].problem == "its image is not built. What to do: faceorch build gum"
    assert (
        [row.job.network for row in videos.rows]
        == [row.job.network for row in prices.rows]
        == ["alder", "birch", "cedar"]
    )


def test_first_use_is_no_part_of_a_repetition(run: RunFolder) -> None:
    """Building the environment took 40 s: no time of the repetitions has it in it, neither as a number nor as a bar."""
    row = shown(run, "times", "alder")
    assert (row["first_use_s"], row["total_s"], row["setup_s"], row["animate_s"]) == (
        "40.0 s",
        "10.1 s",
        "4.00 s",
        "3.12 s",
    )
    page = html.fromstring(write_report(run, with_grid=False).read_text("utf-8"))
    (bar,) = page.xpath("//*[@class='timebar'][span='Alder']")
    assert bar.xpath(".//*[local-name()='rect'][@class='prepare_s']") == []
    assert bar.findtext("span[@class='time']") == "10.1 s"


@pytest.mark.parametrize(("several", "total_s"), [(True, 50.0), (False, 10.0)])
def test_end_to_end_is_without_first_use_in_every_record(run: RunFolder, several: bool, total_s: float) -> None:
    job = structs.replace(run.run.jobs[0], times=Times(prepare_s=30.0, synthetic_s=10.0, total_s=50.0))
    request = structs.replace(run.run.request, repeat=3 if several else 1)
    assert costs.running_s(job, request) == total_s
    assert costs.once_s(job) == 40.0


def spread(low: float, high: float, count: int = 3) -> Spread:
    return Spread(unit="s", count=count, min=low, median=(low + high) / 2, max=high)


@pytest.mark.parametrize(
    ("ranges", "best"),
    [
        ([spread(1, 2), spread(3, 4), spread(5, 6)], "alder"),
        ([spread(3, 4), spread(1, 2), spread(3, 6)], "birch"),
        ([spread(1, 3), spread(3, 4), spread(5, 6)], None),
        ([spread(1, 2), spread(3, 4), spread(5, 6, count=2)], None),
        ([spread(1, 2), spread(3, 4), None], None),
    ],
)
def test_the_best_is_marked_only_where_ranges_lie_apart(
    run: RunFolder, ranges: list[Spread | None], best: str | None
) -> None:
    for job, found in zip(run.run.jobs[:3], ranges, strict=True):
        run.run.put(structs.replace(job, spreads={} if found is None else {"animate_s": found}))
    assert tables.best_of(COLUMN["animate_s"], run.run) == best


def test_what_is_neither_better_nor_worse_has_no_best(run: RunFolder) -> None:
    assert tables.best_of(COLUMN["file_bytes"], run.run) is None


def test_motion_is_measured_where_the_judge_looked_and_declared_elsewhere(run: RunFolder) -> None:
    alder, birch, _ = run.run.jobs[:3]
    run.run.put(structs.replace(alder, judgement=None, about=About(approach="a", licence="l", head_motion="small")))
    run.run.put(structs.replace(birch, about=About(approach="b", licence="l", head_motion="none at all")))
    assert shown(run, "videos", "alder")["head_motion"] == "small"
    assert shown(run, "videos", "birch")["head_motion"] == "moves (1.5 deg)"
    (videos,) = [table for table in tables.tables(run.run) if table.key == "videos"]
    notes = {row.job.network: row.cells[1].note for row in videos.rows}
    assert videos.notes[notes["alder"] - 1] == "declared by the network's folder, not measured"  # type: ignore[operator]
    assert videos.notes[notes["birch"] - 1] == "measured in the video by the judge"  # type: ignore[operator]


def test_a_column_of_which_nothing_is_known_is_not_there(run: RunFolder) -> None:
    (prices,) = [table for table in tables.tables(run.run) if table.key == "costs"]
    assert [column.key for column in prices.columns] == ["vram_peak_bytes", "energy_wh", "cpu_s", "memory_peak_bytes"]
    assert prices.notes[0] == "memory of the network's own processes, as the driver lists it"
