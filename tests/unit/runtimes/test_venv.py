"""The venv runtime: whose runners it ends, what they see, and when an environment is built again."""

from __future__ import annotations

import json
import signal
import subprocess
import uuid
from pathlib import Path

import pytest
from msgspec.structs import replace

from faceorch.owner import Owner
from faceorch.record.kinds import OutcomeKind
from faceorch.record.reason import Reason
from faceorch.runtimes import Preparing, Ready
from faceorch.runtimes.venv import VenvRuntime, environment_folder
from tests.conftest import MakeNetwork, compare_here
from tests.unit.conftest import Listener, RequestFor, old_form


def test_a_runner_on_the_host_does_not_see_what_chooses_other_kernels(
    make_network: MakeNetwork, request_for: RequestFor, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With another kernel for its sums, the baseline made other frames in its venv than in its container."""
    source = """
        import os
        from faceorch_runner import BadInput, Network
        class Telling(Network):
            def animate(self, job, progress):
                names = ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "PYTHONSTARTUP", "VIRTUAL_ENV", "KEPT")
                raise BadInput("sees " + ", ".join(name for name in names if name in os.environ))
    """
    for name in ("OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "PYTHONSTARTUP", "VIRTUAL_ENV", "KEPT"):
        monkeypatch.setenv(name, "1")
    make_network("telling", source)
    assert compare_here(request_for("telling"), listener).run.job("telling").reason == Reason(
        kind=OutcomeKind.BAD_INPUT, found="sees KEPT", remedy="see what it takes: faceorch networks telling"
    )


def note(home: Path, **fields: object) -> Path:
    """Write a note on a runner process."""
    path = home / "processes" / f"{uuid.uuid4().hex}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"run": "r", "network": "n", **fields}), "utf-8")
    return path


class TestSweep:
    @pytest.fixture
    def dead(self) -> str:
        return str(replace(Owner.me(), pid=2**22 + 1))

    def test_the_runner_of_a_dead_owner_is_ended(
        self, own_home: Path, dead: str, waiting: subprocess.Popen[bytes]
    ) -> None:
        path = note(own_home, owner=dead, process=str(Owner.of(waiting.pid)))
        assert VenvRuntime().sweep() == [f"ended runner process {waiting.pid} of a faceorch that died"]
        assert waiting.wait(60) == -signal.SIGKILL
        assert not path.exists()

    @pytest.mark.parametrize("change", [{"namespace": 7}, {"host": "elsewhere", "boot": "other"}])
    def test_a_process_id_of_elsewhere_ends_nobody_here(
        self, own_home: Path, dead: str, waiting: subprocess.Popen[bytes], change: dict[str, int | str]
    ) -> None:
        process = replace(Owner.of(waiting.pid), **change)
        path = note(own_home, owner=dead, process=str(process))
        assert VenvRuntime().sweep() == []
        assert VenvRuntime().running() == []
        assert waiting.poll() is None
        assert path.exists()

    def test_an_old_note_ends_nobody_and_goes_with_its_process(
        self, own_home: Path, dead: str, waiting: subprocess.Popen[bytes]
    ) -> None:
        path = note(own_home, owner=dead, process=old_form(waiting.pid, 1700000000.0))
        assert VenvRuntime().sweep() == []
        assert waiting.poll() is None
        assert path.exists()
        waiting.kill()
        waiting.wait()
        assert VenvRuntime().sweep() == []
        assert not path.exists()

    @pytest.mark.parametrize("fields", [{}, {"owner": 5, "process": None}, {"owner": "x", "process": "y"}])
    def test_a_note_that_is_none_goes(self, own_home: Path, fields: dict[str, object]) -> None:
        path = note(own_home, **fields)
        assert VenvRuntime().running() == []
        assert VenvRuntime().sweep() == []
        assert not path.exists()


def test_equal_locks_are_one_environment(own_cache: Path, make_network: MakeNetwork) -> None:
    one, other, third = make_network("one"), make_network("other"), make_network("third")
    third.lock("cpu").write_text("numpy==2.0.0\n", "utf-8")
    folders = [environment_folder(network, "cpu") for network in (one, other, third)]
    assert folders[0] == folders[1] != folders[2]


@pytest.mark.parametrize("damage", ["python gone", "dangling", "half a marker", "a marker of something else"])
def test_a_damaged_environment_is_built_again(make_network: MakeNetwork, tmp_path: Path, damage: str) -> None:
    network = make_network("grey", python=">=3.10")
    runtime = VenvRuntime()
    first = runtime.ready(network, "cpu")
    assert isinstance(first, Ready)
    made = runtime.prepare(network, first, Preparing(tmp_path / "log"))
    assert made.prepared
    folder = Path(made.name)
    if damage == "python gone":
        (folder / "bin" / "python").unlink()
    elif damage == "dangling":
        (folder / "bin" / "python").unlink()
        (folder / "bin" / "python").symlink_to("/usr/bin/python-that-was-upgraded")
    else:
        (folder / "faceorch.json").write_text('{"pyth' if damage == "half a marker" else '{"a": "b"}', "utf-8")
    again = runtime.ready(network, "cpu")
    assert isinstance(again, Ready)
    assert not again.prepared
    assert runtime.prepare(network, again, Preparing(tmp_path / "log")).prepared
    assert subprocess.run([folder / "bin" / "python", "-c", ""], check=False).returncode == 0
