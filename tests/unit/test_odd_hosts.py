"""What a host has that is odd: a damaged Docker config, a home that is not writable, manifests and notes of others."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from faceorch.comparison import compare
from faceorch.engine.client import endpoint
from faceorch.errors import EngineError
from faceorch.networks.discover import load_networks
from faceorch.record.kinds import JobStatus, OutcomeKind
from faceorch.runtimes.venv import VenvRuntime
from tests.conftest import MakeNetwork, ignore, reason_of
from tests.plain_user import nobodys_folder, run_plain
from tests.unit.conftest import RequestFor, faceorch, run_arguments

__all__ = ["nobodys_folder"]


def test_a_damaged_docker_config_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": 5}')
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(EngineError) as caught:
        endpoint()
    assert caught.value.message.startswith(f"{tmp_path}/config.json cannot be read: ")
    found = faceorch("doctor")
    assert found.returncode == 1
    assert f"{tmp_path}/config.json cannot be read: " in found.stdout
    assert "try: fix that file, or set DOCKER_HOST" in found.stdout


NO_HOME = {
    "HOME": ("/dev/null", "/dev/null/.cache/faceorch: Not a directory"),
    "FACEORCH_HOME": ("/dev/null", "/dev/null: File exists"),
    "a user that is none": ("~nobody-is-called-this/x", "nobody's home folder is known by that name"),
}


@pytest.mark.parametrize("name", list(NO_HOME))
def test_a_home_that_cannot_be_written_is_named(
    make_network: MakeNetwork, portrait: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    make_network("grey")
    value, reason = NO_HOME[name]
    monkeypatch.setenv("HOME" if name == "HOME" else "FACEORCH_HOME", value)
    if name == "HOME":
        monkeypatch.delenv("FACEORCH_HOME")
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    done = faceorch(*run_arguments(portrait, clip, tmp_path / "out", "grey"))
    assert done.returncode == 4
    said, remedy = done.stderr.splitlines()
    assert said.startswith("error: cannot write to faceorch's own folder ")
    assert reason in said
    assert remedy == "  try: set FACEORCH_HOME to a folder that you may write to"
    assert not (tmp_path / "out").exists()
    findings = json.loads(faceorch("doctor", "--json").stdout)["findings"]
    (finding,) = [finding for finding in findings if finding["check"] == "cache folder"]
    assert (finding["severity"], reason in finding["found"]) == ("error", True)


def test_a_user_without_a_home_is_told(portrait: Path, clip: Path, nobodys_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    for path in (portrait, clip):
        (nobodys_folder / path.name).write_bytes(path.read_bytes())
    words = ["run", "--image", str(nobodys_folder / portrait.name), "--audio", str(nobodys_folder / clip.name)]
    words += ["--runtime", "venv", "--network", "baseline", "--out", str(nobodys_folder / "out")]
    done = run_plain(["-m", "faceorch", *words])
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        4,
        "error: cannot write to faceorch's own folder /nonexistent/.cache/faceorch: Permission denied",
    )
    assert not (nobodys_folder / "out").exists()


BAD = {
    "not UTF-8": (b"title: \xff\xfe", "is not UTF-8 text: byte 7"),
    "a date that is none": (b"schema: 1\ntitle: 2024-13-45\n", "month must be in 1..12"),
    "too deep": (b"[" * 5000, "network.yaml: "),
    "a link to itself": (b"a: &a [*a]\n", "network.yaml: "),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_manifest_is_that_networks_trouble_alone(
    make_network: MakeNetwork, request_for: RequestFor, tmp_path: Path, name: str
) -> None:
    grey = make_network("grey")
    content, reason = BAD[name]
    (grey.folder.parent / "bad").mkdir()
    (grey.folder.parent / "bad" / "network.yaml").write_bytes(content)
    heavy = make_network("heavy")
    (heavy.folder / "weights.yaml").write_bytes(content)
    request = request_for(pythons={"grey": sys.executable, "heavy": sys.executable})
    folder = compare(request, tmp_path / "out", ignore, networks=load_networks([grey.folder.parent]))
    jobs = {job.network: job for job in folder.run.jobs}
    assert jobs["grey"].status is JobStatus.DONE
    for broken in ("bad", "heavy"):
        assert (jobs[broken].status, reason_of(jobs[broken]).kind) == (JobStatus.SKIPPED, OutcomeKind.NOT_AVAILABLE)
    assert reason in reason_of(jobs["bad"]).found
    rows = {row["name"]: row for row in json.loads(faceorch("networks", "--json").stdout)}
    assert (rows["bad"]["ready"], rows["baseline"]["name"]) == (False, "baseline")
    named = faceorch("networks", "bad")
    assert (named.returncode, reason in named.stderr) == (5, True)


NOTES = {
    "no JSON": "{",
    "a list": "[1, 2]",
    "of another faceorch": '{"owner": "v9 host 5 6", "process": "v9", "mark": "", "more": "x"}',
    "numbers": '{"owner": 5, "process": 6}',
    "deep": "[" * 100_000,
    "a process that is none": '{"owner": "x", "process": "-1", "mark": "\\u0000"}',
}


@pytest.mark.parametrize("note", list(NOTES))
def test_notes_of_other_faceorchs_are_no_trouble(own_home: Path, note: str) -> None:
    place = own_home / "processes" / f"{note}.json"
    place.parent.mkdir()
    place.write_text(NOTES[note], "utf-8")
    assert VenvRuntime().running() == []
    assert VenvRuntime().sweep() == []
