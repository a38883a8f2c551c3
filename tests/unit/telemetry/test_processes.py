"""Whose a process is, and what a tree of processes uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from faceorch.telemetry import processes
from faceorch.telemetry.processes import EngineLookUp, Facts, ProcLookUp, TreeProbe
from tests.conftest import wait_until
from tests.fake_nvml import MIB
from tests.unit.telemetry.conftest import OURS


class TestLookUp:
    def folder(self, root: Path, pid: int, *, session: int, started: int, cgroup: str, name: str = "python3") -> None:
        (root / str(pid)).mkdir(exist_ok=True)
        # state ppid pgrp session, then whatever, then the start time as the 22nd field
        rest = f"S 1 1 {session} " + "0 " * 15 + f"{started} 0"
        (root / str(pid) / "stat").write_text(f"{pid} ({name}) {rest}", "utf-8")
        (root / str(pid) / "cgroup").write_text(cgroup, "utf-8")

    @pytest.mark.parametrize(
        ("cgroup", "container"),
        [
            (f"0::/system.slice/docker-{OURS}.scope\n", OURS),
            (f"9:memory:/docker/{OURS}\n0::/docker/{OURS}\n", OURS),
            (f"0::/docker/{'b' * 64}/docker/{OURS}\n", OURS),
            (f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{OURS}.scope/container\n", OURS),
            ("0::/user.slice/session-2.scope\n", ""),
        ],
    )
    def test_a_process_is_known_by_its_control_group(self, tmp_path: Path, cgroup: str, container: str) -> None:
        self.folder(tmp_path, 7, session=70, started=1234, cgroup=cgroup, name="odd ) name (")
        assert ProcLookUp(tmp_path)(7) == Facts(1234, container, 70)

    def test_a_process_id_that_is_used_again_is_looked_up_again(self, tmp_path: Path) -> None:
        look_up = ProcLookUp(tmp_path)
        self.folder(tmp_path, 7, session=70, started=1, cgroup=f"0::/docker/{OURS}\n")
        assert look_up(7) == Facts(1, OURS, 70)
        self.folder(tmp_path, 7, session=80, started=2, cgroup="0::/user.slice\n")
        assert look_up(7) == Facts(2, "", 80)

    def test_a_process_that_is_gone_is_none(self, tmp_path: Path) -> None:
        assert ProcLookUp(tmp_path)(7) is None

    def test_the_engine_is_asked_where_proc_is_another_ones(self) -> None:
        class Api:
            asked = 0

            def top(self, container: str, ps_args: str) -> dict[str, object]:
                self.asked += 1
                return {"Titles": ["PID", "PPID", "COMMAND"], "Processes": [["7", "1", "python3"]]}

        api, now_s = Api(), 100.0
        look_up = EngineLookUp(api, OURS, clock=lambda: now_s)  # type: ignore[arg-type]
        assert look_up(7) == Facts(0, OURS)
        assert look_up(9) == Facts(0), "the engine has just been asked, and does not name it"
        assert look_up(7) == Facts(0, OURS)
        assert api.asked == 1
        now_s += 0.1
        assert look_up(11) is None, "too old an answer for one that may be new, too young to ask again"
        assert api.asked == 1
        now_s += 0.2
        assert look_up(11) == Facts(0)
        assert api.asked == 2
        now_s += 1.0
        assert look_up(7) == Facts(0, OURS)
        assert api.asked == 3


class TestUsage:
    def test_a_child_that_is_started_after_the_first_look_is_found_soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A runner's first process starts the one that works; fixed times alone would never find it."""
        monkeypatch.setattr(processes, "_REFRESH_S", 1e9)
        code = (
            "import subprocess, sys; input(); "
            "c = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE); input()"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            probe = TreeProbe(process.pid)
            assert probe.read() is not None
            process.stdin.write("\n")
            process.stdin.flush()
            wait_until(lambda: (found := probe.read()) is not None and found.threads == 2, "the child in the figures")
            process.communicate("\n")

    def test_a_tree_of_processes_is_counted_with_its_children(self) -> None:
        code = (
            "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', "
            "'k = bytearray(40 * 2**20); print(1, flush=True); input()'], stdin=subprocess.PIPE); input()"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            found = TreeProbe(process.pid).read()
            process.communicate(b"\n")
        assert found is not None
        assert found.threads == 2
        assert found.memory_bytes is not None
        assert found.memory_bytes > 45 * MIB
        assert found.cpu_s is not None
        assert found.cpu_s > 0
        assert (found.received_bytes, TreeProbe(1).reasons["received_bytes"]) == (
            None,
            "not counted for processes of this host",
        )

    def test_a_process_that_is_gone_is_none(self) -> None:
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            process.wait()
        assert TreeProbe(process.pid).read() is None


def test_a_process_that_nobody_has_waited_for_uses_nothing() -> None:
    """It still has a thread, and no memory: a peak of 0 bytes would be no figure."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE, "it has ended")
    assert TreeProbe(process.pid).read() is None
    process.wait()
