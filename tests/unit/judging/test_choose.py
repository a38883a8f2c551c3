"""The judge's environment and weights: chosen as networks' are, and missing weights keep nobody from judging."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from click.testing import CliRunner

from faceorch.cli.main import cli
from faceorch.judging import Chosen, choose
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from tests.conftest import STUB_JUDGE, MakeNetwork, compare_here
from tests.unit.conftest import RequestFor
from tests.unit.judging.conftest import JUDGES_PYTHON
from tests.unit.weights.conftest import write_manifest

CONTENT = b"a model"
FILE = {
    "path": "model.dat",
    "source": {"url": "https://example.org/model.dat"},
    "size": len(CONTENT),
    "sha256": hashlib.sha256(CONTENT).hexdigest(),
    "licence": "CC0",
    "commercial": True,
    "why": "a test",
}
# Notes what it was given.
NOTING = STUB_JUDGE.replace("def begin(weights):", "def begin(weights):\n    Session.given = weights").replace(
    '["a stand-in judged it"]', '["given " + str(self.given and sorted(p.name for p in self.given.iterdir()))]'
)


def test_an_environment_of_its_own_is_built_when_it_is_wanted_for_the_first_time(make_judge: MakeNetwork) -> None:
    chosen = choose(make_judge(), runtime="venv")
    assert isinstance(chosen, Chosen)
    assert not chosen.planned.ready.prepared
    assert chosen.planned.gpus == ()


def test_without_its_environment_there_is_a_reason(make_judge: MakeNetwork) -> None:
    found = choose(make_judge(), runtime="venv", pythons={"standin": "/nowhere"})
    assert isinstance(found, Reason)
    assert found.kind is OutcomeKind.NO_PYTHON


def test_weights_that_are_missing_are_a_note(make_judge: MakeNetwork, tmp_path: Path) -> None:
    judge = make_judge()
    write_manifest(judge, FILE)
    chosen = choose(judge, runtime="venv", pythons={"standin": sys.executable}, weights=tmp_path / "store")
    assert isinstance(chosen, Chosen)
    assert chosen.weights is None
    assert len(chosen.notes) == 1
    assert chosen.notes[0].startswith("its weight file is missing (7 B): ")
    assert chosen.notes[0].endswith("; get them: faceorch weights pull standin")


def test_the_judge_gets_the_weights_that_are_there(
    make_network: MakeNetwork, make_judge: MakeNetwork, request_for: RequestFor, tmp_path: Path
) -> None:
    make_network("grey")
    write_manifest(make_judge(NOTING), FILE)
    (tmp_path / "have").mkdir()
    (tmp_path / "have/model.dat").write_bytes(CONTENT)
    store = str(tmp_path / "store")
    words = ["weights", "pull", "standin", "--from", str(tmp_path / "have"), "--dir", store]
    assert CliRunner().invoke(cli, words).exit_code == 0
    folder = compare_here(request_for("grey", weights=store, pythons=JUDGES_PYTHON))
    (job,) = folder.run.jobs
    assert job.judgement is not None
    assert job.judgement.notes == ["given ['model.dat']"]
    assert folder.run.judging is not None
    assert folder.run.judging.notes == []
