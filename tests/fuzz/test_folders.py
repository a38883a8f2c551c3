"""Run folders that are damaged or somebody else's: a report is written, or one clear line says why not."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceorch.errors import UserError
from faceorch.record.folder import RunFolder
from faceorch.record.request import Request
from faceorch.report import write_report
from tests.conftest import compare_here
from tests.fuzz.conftest import inputs
from tests.fuzz.mutation import damaged_bytes, damaged_value
from tests.unit.conftest import request_for

__all__ = ["request_for"]
SECRET = "5f1c0a-private-key"


@pytest.fixture
def finished(make_network: Any, request_for: Any, tmp_path: Path) -> Path:
    make_network("grey")
    request: Request = request_for("grey", repeat=2)
    (tmp_path / "key").write_text(SECRET)
    return compare_here(request).path


@inputs("folders")
@given(data=st.data())
def test_a_damaged_run_folder_is_reported_or_refused(finished: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory(dir=finished.parent) as name:
        folder = Path(name) / "run"
        shutil.copytree(finished, folder)
        record = folder / "run.json"
        if data.draw(st.booleans()):
            damaged = data.draw(damaged_value(json.loads(record.read_text("utf-8"))))
            record.write_text(json.dumps(damaged), "utf-8")
        else:
            path = data.draw(st.sampled_from([record, folder / "grey.mp4", folder / "inputs" / "portrait.png"]))
            path.write_bytes(data.draw(damaged_bytes([path.read_bytes()])))
        try:
            write_report(RunFolder.load(folder))
        except UserError as error:
            assert error.message.isprintable()
        else:
            assert SECRET not in (folder / "report.html").read_text("utf-8")
        assert {path.name for path in Path(name).iterdir()} == {"run"}
