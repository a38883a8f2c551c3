"""A new run: what is refused before anything starts, and what its record says of those that take part."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec import structs

from faceorch.errors import CannotRun, InputError
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind
from tests.conftest import MakeNetwork, compare_here, reason_of
from tests.unit.conftest import Listener, RequestFor

PATCHES = """
from faceorch_patch import Patch, Substitute
PATCHES = (Patch(name="no-display", file="animator/a.py", reason="no <screen> here", edits=(Substitute("a", "b"),)),)
"""


def test_the_patches_of_a_network_are_in_the_record_and_the_report(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    (make_network("grey").folder / "patches.py").write_text(PATCHES, "utf-8")
    folder = compare_here(request_for("grey"), listener)
    (job,) = RunFolder.load(folder.path).run.jobs
    assert [(p.name, p.file, p.reason) for p in job.patches] == [("no-display", "animator/a.py", "no <screen> here")]
    page = (folder.path / "report.html").read_text("utf-8")
    assert "<dt>patch</dt><dd><code>animator/a.py</code> no-display: no &lt;screen&gt; here</dd>" in page


def test_networks_that_cannot_run_are_rows_with_reason_and_remedy(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    request = request_for("grey")
    pythons = {"grey": sys.executable, "baseline": sys.executable}
    folder = compare_here(structs.replace(request, networks=(), pythons=pythons, check_face=False), listener)
    skipped = [job for job in folder.run.jobs if job.status is JobStatus.SKIPPED]
    assert len(skipped) == 4
    # Those that are not finished, and those that need a GPU or another runtime than this one.
    expected = {OutcomeKind.NOT_AVAILABLE, OutcomeKind.NO_GPU, OutcomeKind.NO_ENGINE}
    assert all(why.text and why.remedy and why.kind in expected for why in map(reason_of, skipped))


def test_naming_a_network_that_cannot_run_starts_nothing(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("heavy", gpu=True)
    with pytest.raises(CannotRun, match="heavy cannot run here: needs an NVIDIA GPU"):
        compare_here(request_for("heavy", gpus="none"), listener)
    assert not (tmp_path / "results").exists()


def test_a_clip_that_is_too_short_for_a_named_network_is_refused(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("grey")
    make_network("patient", shortest_clip_s=2.0)
    with pytest.raises(InputError) as caught:
        compare_here(request_for("grey", "patient"), listener)
    assert caught.value.message == "the clip lasts 1.00 s, patient needs 2 s"
    assert not (tmp_path / "results").exists()


def test_options_for_a_network_that_takes_no_part_are_refused(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    make_network("grey")
    with pytest.raises(InputError, match="--set names 'other', which is not in this run"):
        compare_here(request_for("grey", settings={"other": {"x": 1}}), listener)


def test_a_python_that_is_none_is_refused_before_anything_starts(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, tmp_path: Path
) -> None:
    make_network("grey")
    with pytest.raises(CannotRun, match="is not a Python interpreter"):
        compare_here(request_for("grey", pythons={"grey": str(tmp_path)}), listener)


def test_what_the_settings_mean_for_the_video_is_in_the_record_and_the_report(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener
) -> None:
    path = make_network("grey").folder / "network.yaml"
    said = "caveats:\n- {setting: mode, equals: a, text: a is grey}\n- {setting: mode, equals: b, text: b is not}\n"
    path.write_text(path.read_text("utf-8") + said, "utf-8")
    folder = compare_here(request_for("grey"), listener)
    (job,) = folder.run.jobs
    assert job.caveats == ["a is grey"]
    for name in ("report.html", "report.md"):
        text = (folder.path / name).read_text("utf-8")
        assert "Grey: a is grey" in text, name
        assert "b is not" not in text
