"""What an examination finds in the networks' own files, and that it goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import MakeNetwork
from tests.unit.doctor.conftest import doctor

pytestmark = pytest.mark.usefixtures("bare_host")


def test_a_broken_manifest_is_a_finding_and_the_rest_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine" / "network"
    folder.mkdir(parents=True)
    (folder / "network.yaml").write_text("schema: 1\n", "utf-8")
    monkeypatch.setenv("FACEORCH_NETWORKS", str(folder.parent))
    result = doctor()
    assert result.exit_code == 1
    assert re.search(r"^error    networks +.*network.yaml: 'title' is missing", result.output, re.M)
    assert "error    engine" in result.output


WEIGHTS = """
schema: 1
files:
  - {path: a.pth, source: {url: "http://127.0.0.1/a"}, size: %s, sha256: null, licence: MIT, commercial: true, why: all}
"""


@pytest.mark.parametrize(("size", "severity", "needed"), [(1000, "ok", "1.0 kB"), (10**18, "error", "1000000000.0 GB")])
def test_weights_that_do_not_fit_are_told_before_the_download(
    make_network: MakeNetwork, size: int, severity: str, needed: str
) -> None:
    network = make_network("heavy")
    (network.folder / "weights.yaml").write_text(WEIGHTS % size, "utf-8")
    report = json.loads(doctor("--json").output)
    (finding,) = [finding for finding in report["findings"] if finding["check"] == "disk for weights"]
    assert (finding["severity"], finding["needed"]) == (severity, f"{needed} for the weights of heavy")
    (state,) = [state for state in report["networks"] if state["name"] == "heavy"]
    assert state["reason"].startswith("its weight file is missing")
    assert state["remedy"] == "faceorch weights pull heavy"


def test_a_broken_weights_manifest_is_a_finding_and_the_rest_is_told(make_network: MakeNetwork) -> None:
    (make_network("heavy").folder / "weights.yaml").write_text("schema: 1\n", "utf-8")
    output = doctor().output
    assert re.search(r"^error    networks +.*weights.yaml: 'files' is missing", output, re.M)
    assert "running: heavy cannot run" in output
    assert re.search(r"^ok       baseline", output, re.M)
