"""A record that cannot be loaded is not written; a folder that is no run, or in use, is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from faceorch.comparison import resume
from faceorch.errors import RunFolderError
from faceorch.record.folder import InvalidRecord
from faceorch.record.run import Times
from tests.conftest import MakeNetwork, compare_here, ignore
from tests.unit.conftest import Listener, RequestFor


def test_a_run_in_use_is_refused(make_network: MakeNetwork, request_for: RequestFor, listener: Listener) -> None:
    make_network("grey")
    folder = compare_here(request_for("grey"), listener)
    (folder.path / "grey.mp4").unlink()
    with folder.locked(), pytest.raises(RunFolderError, match="is in use by another faceorch"):
        resume(folder.path, listener)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a run folder: run.json does not exist"),
        ("{", "run.json is not JSON: "),
        ('{"schema": 99}', "run.json has schema 99, this faceorch reads 1 to 2"),
        ('{"schema": 1}', "run.json is damaged: "),
        ('{"schema": 2}', "run.json is damaged: Object missing required field `faceorch`"),
    ],
)
def test_a_folder_that_is_no_run_is_named(
    tmp_path: Path, listener: Listener, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content, "utf-8")
    with pytest.raises(RunFolderError) as caught:
        resume(tmp_path, listener)
    assert message in caught.value.message


def test_a_record_that_could_not_be_loaded_is_not_written(two: None, request_for: RequestFor) -> None:
    folder = compare_here(request_for("second"), ignore)
    before = (folder.path / "run.json").read_bytes()
    for times in (Times(total_s=-1.0), Times(stages={"x": float("nan")}), Times(stages={"\ud800": 1.0})):
        folder.run.put(structs.replace(folder.run.jobs[0], times=times))
        with pytest.raises(InvalidRecord):
            folder.save()
        assert (folder.path / "run.json").read_bytes() == before
    assert not list(folder.path.glob(".run.json*"))
