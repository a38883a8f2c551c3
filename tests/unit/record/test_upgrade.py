"""Run folders of schema 1 still load: their records, made by the last faceorch that wrote it, as it wrote them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from faceorch import report
from faceorch.record.folder import FILE_NAME, RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.record.request import StandIn
from faceorch.record.run import SCHEMA
from faceorch.report.costs import energy_cost
from tests.conftest import reason_of

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "schema-1"
SCHEMAS = ROOT / "docs" / "reference" / "schema"


@pytest.fixture(params=["run", "smoke"])
def kind(request: pytest.FixtureRequest) -> str:
    """Which record of schema 1."""
    return str(request.param)


@pytest.fixture
def before(kind: str) -> dict[str, Any]:
    """The record as it was written."""
    raw: dict[str, Any] = json.loads((DATA / f"{kind}.json").read_text("utf-8"))
    return raw


@pytest.fixture
def folder(kind: str, tmp_path: Path) -> RunFolder:
    """The record, loaded by this faceorch."""
    shutil.copy(DATA / f"{kind}.json", tmp_path / FILE_NAME)
    return RunFolder.load(tmp_path)


def test_the_records_are_of_schema_1(before: dict[str, Any]) -> None:
    jsonschema.validate(before, json.loads((SCHEMAS / "run-1.json").read_text("utf-8")))


def test_what_happened_is_kept(folder: RunFolder, before: dict[str, Any]) -> None:
    run = folder.run
    assert (run.id, run.status.value) == (before["id"], before["status"])
    assert (run.request.portrait, run.request.clip) == tuple(
        before["inputs"][name]["source"] for name in ("portrait", "clip")
    )
    for job, old in zip(run.jobs, before["jobs"], strict=True):
        assert (job.network, job.status.value, job.settings) == (old["network"], old["status"], old["settings"])
        assert job.resumed == max(0, old["attempt"] - 1)
        if job.status in (JobStatus.FAILED, JobStatus.SKIPPED):
            reason = reason_of(job)
            assert (reason.kind.value, reason.text, reason.remedy) == (old["kind"], old["reason"], old["remedy"])
        else:
            assert job.reason is None
            assert job.video is not None
            assert job.video.sha256 == old["video"]["sha256"]
            assert [repetition.number for repetition in job.repetitions] == [1, 2]


def test_saved_again_it_is_of_the_present_schema(folder: RunFolder) -> None:
    folder.save()
    raw = json.loads((folder.path / FILE_NAME).read_text("utf-8"))
    assert raw["schema"] == SCHEMA
    jsonschema.validate(raw, json.loads((SCHEMAS / f"run-{SCHEMA}.json").read_text("utf-8")))
    assert RunFolder.load(folder.path).run == folder.run


def test_its_report_can_be_built(folder: RunFolder, kind: str) -> None:
    report.write_report(folder)
    page = (folder.path / "report.md").read_text("utf-8")
    again = {
        "run": "faceorch run --image inputs/portrait.png --audio inputs/clip.wav --set baseline.max_size=256 "
        "--repeat 2 --price-per-kwh 0.3 --currency EUR --timeline csv",
        "smoke": "faceorch smoke --set baseline.max_size=128",
    }
    assert again[kind] in page
    assert ("**Synthetic.**" in page) == (kind == "smoke")


class TestRun:
    """What only a run has."""

    @pytest.fixture
    def kind(self) -> str:
        return "run"

    def test_money_is_computed_from_the_prices(self, folder: RunFolder, before: dict[str, Any]) -> None:
        job, old = folder.run.job("baseline"), before["jobs"][0]["metrics"]["energy_cost"]
        assert not [name for name in job.metrics if "cost" in name]
        computed = energy_cost(job, folder.run.request)
        assert computed is not None
        assert (computed.value, computed.unit, computed.note) == (old["value"], "EUR", old["note"])


class TestSmoke:
    """What only a smoke run has."""

    @pytest.fixture
    def kind(self) -> str:
        return "smoke"

    def test_it_stays_synthetic(self, folder: RunFolder) -> None:
        assert folder.run.synthetic
        assert folder.run.request.stand_in == StandIn(size="tiny")
        assert reason_of(folder.run.job("baseline")).kind is OutcomeKind.NO_FACE
