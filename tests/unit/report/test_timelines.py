"""Timelines for pictures: what is in them, and what a file that is none does to the page (nothing)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from faceorch import proc, report
from faceorch.record.folder import RunFolder
from faceorch.report import timelines, write_report
from faceorch.report.timelines import BINS, Stage, read_timelines, thin
from faceorch.telemetry import timeline
from tests.made_up import make_comparison


def row(t_s: float, **more: object) -> timeline.Row:
    return {**dict.fromkeys(timeline.COLUMNS), "repetition": 1, "warmup": False, "t_s": t_s, "stage": "animate", **more}


def test_a_series_has_every_quantity_and_the_stages() -> None:
    rows = [row(t / 10, gpu=gpu, vram_bytes=100, power_w=50.0) for t in range(101) for gpu in (0, 1)]
    rows += [row(t / 10, cpu_s=t / 5, stage="setup" if t < 50 else "animate") for t in range(101)]
    rows += [row(5.0, cpu_s=1e9, repetition=2), row(5.0, vram_bytes=10**9, gpu=0, warmup=True)]
    found = thin(sorted(rows, key=lambda r: (r["t_s"], r["stage"] != "setup")), 1)
    assert found is not None
    assert found.length_s == 10
    assert {name: max(v for v in values if v is not None) for name, values in found.series.items()} == pytest.approx(
        {"vram_bytes": 200, "power_w": 100, "cpu_cores": 2}
    )
    assert all(len(values) == BINS for values in found.series.values())
    assert [stage.name for stage in thin([r for r in rows if r["gpu"] is None], 1).stages] == ["setup", "animate"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "rows",
    [[], [row(float("nan"))], [row(-1.0)], [row(1e300)], [row(0.0)], [row("1")], [row(1.0, repetition=2)]],  # type: ignore[arg-type]
)
def test_what_is_no_time_is_not_shown(rows: list[timeline.Row]) -> None:
    assert thin(rows, 1) is None


def test_numbers_that_are_none_are_gaps() -> None:
    found = thin([row(1.0, gpu=0, vram_bytes=-5), row(2.0, gpu=0, vram_bytes=None, power_w=float("inf"))], 1)
    assert found is not None
    assert found.series == {}
    assert found.stages == [Stage("animate", 0.0, 2.0)]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=2, seconds=0.5, failures=False)


def damage(path: Path, what: str) -> None:
    data = path.read_bytes()
    path.unlink()
    if what == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif what == "garbled":
        middle = bytes(255 - byte for byte in data[4:-8])
        path.write_bytes(data[:4] + middle + data[-8:])
    elif what == "link":
        (path.parent / "other.parquet").write_bytes(data)
        path.symlink_to("other.parquet")
    elif what == "pipe":
        os.mkfifo(path)


@pytest.mark.parametrize("what", ["cut", "garbled", "link", "pipe", "gone"])
def test_a_damaged_file_costs_its_own_picture_only(run: RunFolder, what: str) -> None:
    damage(run.path / "alder" / "telemetry.parquet", what)
    page = write_report(run, with_grid=False).read_text("utf-8")
    assert "GPU memory of Birch" in page
    assert "GPU memory of Alder" not in page


def test_a_file_that_ends_its_reader_costs_its_own_picture_only(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is a stand-in that dies of the first file, as of one at which a library breaks down."""
    asked: list[object] = []

    def ask(folder: Path, wanted: object) -> list[None]:
        asked.append(wanted)
        return [] if len(asked) == 1 else [None]

    monkeypatch.setattr(timelines, "_ask", ask)
    wanted = {"alder": ("a", 1), "birch": ("b", 1)}
    assert read_timelines(run.path, wanted) == {}
    assert asked == [[("alder", ("a", 1)), ("birch", ("b", 1))], [("birch", ("b", 1))]]


def test_code_in_the_current_folder_is_not_imported(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m` imports from the current folder first: somebody may have put a module of that name there."""
    here = tmp_path / "here"
    here.mkdir()
    for module in ("json", "msgspec", "csv", "struct"):
        (here / f"{module}.py").write_text(f"open({os.fspath(tmp_path / 'imported')!r}, 'w')\nraise SystemExit(1)\n")
    monkeypatch.chdir(here)
    assert "GPU memory of Alder" in write_report(run, with_grid=False).read_text("utf-8")
    assert timeline.read(run.path / "alder" / "telemetry.parquet")
    assert not (tmp_path / "imported").exists()


def test_a_child_that_is_not_needed_is_ended(run: RunFolder) -> None:
    timelines.start_ahead()
    (child,) = timelines._ahead
    timelines.end_ahead()
    assert child.returncode == -signal.SIGKILL
    assert timelines._ahead == []


def test_a_child_that_is_ready_reads(run: RunFolder) -> None:
    timelines.start_ahead()
    (child,) = timelines._ahead
    assert read_timelines(run.path, {"alder": ("alder/telemetry.parquet", 1)}).keys() == {"alder"}
    assert child.returncode == 0


def test_a_child_that_died_before_it_was_asked_costs_nothing(run: RunFolder) -> None:
    timelines.start_ahead()
    timelines._ahead[0].kill()
    timelines._ahead[0].wait()
    assert read_timelines(run.path, {"alder": ("alder/telemetry.parquet", 1)}).keys() == {"alder"}


def test_a_relative_path_of_modules_is_one_for_children_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "lib", "/opt/lib"]))
    assert proc.own_environment()["PYTHONPATH"] == os.pathsep.join([os.fspath(tmp_path / "lib"), "/opt/lib"])


def test_nothing_can_be_kept_of_the_templates(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FACEORCH_HOME", os.fspath(tmp_path / "file"))
    report.templates.cache_clear()
    assert write_report(run, with_grid=False).is_file()
    report.templates.cache_clear()
