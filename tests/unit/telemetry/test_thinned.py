"""Timelines for pictures: what is in them, and what a file that is none does to the page (nothing)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from faceorch import proc, report
from faceorch.record.folder import RunFolder
from faceorch.report import write_report
from faceorch.telemetry import thinned, timeline
from faceorch.telemetry.thinned import BINS, Stage, thin
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
    """The child is a stand-in that dies, as of a file at which a library breaks down."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert thinned.read(run.path, "alder/telemetry.parquet", 1) is None
    assert write_report(run, with_grid=False).is_file()


def test_what_is_thinned_is_kept_beside_the_samples(run: RunFolder) -> None:
    before = thinned.read(run.path, "alder/telemetry.parquet", 1)
    assert before is not None
    thinned.write(run.path / "alder", timeline.read(run.path / "alder" / "telemetry.parquet"), 1)
    (run.path / "alder" / "telemetry.parquet").unlink()
    assert thinned.read(run.path, "alder/telemetry.parquet", 1) == before
    assert thinned.read(run.path, "alder/telemetry.parquet", 2) is None, "that is another repetition"


HOSTILE = {
    "no JSON": "[",
    "negative": '{"repetition":1,"length_s":-1,"stages":[],"series":{}}',
    "too many stages": json.dumps(
        {"repetition": 1, "length_s": 1, "stages": [{"name": "a", "from_s": 0, "to_s": 1}] * 201, "series": {}}
    ),
    "too few values": '{"repetition":1,"length_s":1,"stages":[],"series":{"power_w":[1,2]}}',
    "infinite": json.dumps(
        {"repetition": 1, "length_s": 1, "stages": [], "series": {"power_w": [1e308] * BINS}}
    ).replace("1e+308", "1e309"),
    "too large": " " * 2**20 + '{"repetition":1,"length_s":1,"stages":[],"series":{}}',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_as_it_was_written_is_read_from_the_samples(run: RunFolder, text: str) -> None:
    (run.path / "alder" / thinned.NAME).write_text(text, "utf-8")
    found = thinned.read(run.path, "alder/telemetry.parquet", 1)
    assert found is not None
    assert "power_w" in found.series


@pytest.mark.parametrize("samples", ["", "telemetry.parquet", "/etc/passwd", "../alder/telemetry.parquet", "alder/"])
def test_only_files_of_a_network_are_read(run: RunFolder, samples: str) -> None:
    assert thinned.read(run.path, samples, 1) is None


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
