"""Who started a container or a process, and whether it still lives."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from faceorch.owner import Owner
from tests.unit.conftest import old_form


def test_this_process_is_alive_and_survives_a_round_trip() -> None:
    me = Owner.me()
    assert me.judged() is True
    assert Owner.parse(str(me)) == me
    with pytest.raises(ValueError, match="could not convert"):
        float(str(me).rsplit(":", 2)[2])  # an earlier faceorch does not read it, and so leaves its container alone


def test_it_is_known_by_what_the_kernel_says_of_it() -> None:
    me = Owner.me()
    stat = Path(f"/proc/{os.getpid()}/stat").read_text("utf-8").rpartition(")")[2].split()
    assert (me.host, me.pid, me.ticks) == (socket.gethostname(), os.getpid(), int(stat[19]))
    assert me.namespace == Path("/proc/self/ns/pid").stat().st_ino
    assert me.boot == Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def test_setting_the_clock_kills_nobody(monkeypatch: pytest.MonkeyPatch, waiting: subprocess.Popen[bytes]) -> None:
    """With another time of day the time of the boot, which psutil computes start times from, is another one too."""
    owner = Owner.of(waiting.pid)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: 1e9)
    assert owner.judged() is True
    assert Owner.of(waiting.pid) == owner


def test_an_ended_process_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner.of(process.pid)
    assert owner.judged() is True
    process.communicate(b"\n")
    assert owner.judged() is False
    with pytest.raises(ProcessLookupError):
        Owner.of(process.pid)


def test_a_process_that_was_killed_and_not_yet_collected_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        owner = Owner.of(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert owner.judged() is False


def test_a_process_id_that_is_used_again_is_someone_else() -> None:
    me = Owner.me()
    assert me.ticks is not None
    assert replace(me, ticks=me.ticks - 1).judged() is False


def test_an_earlier_boot_of_this_machine_is_dead() -> None:
    assert replace(Owner.me(), boot="other-boot").judged() is False


def test_another_machine_counts_as_alive() -> None:
    other = replace(Owner.me(), host="elsewhere", boot="boot")
    assert other.judged() is None
    assert other.alive()


def test_another_host_name_in_this_boot_is_this_machine() -> None:
    assert replace(Owner.me(), host="renamed").judged() is True
    assert replace(Owner.me(), host="renamed", pid=2**22 + 1).judged() is False


def test_another_pid_namespace_counts_as_alive() -> None:
    me = Owner.me()
    assert me.namespace is not None
    other = replace(me, namespace=me.namespace + 1, pid=2**22 + 1)
    assert other.judged() is None
    assert other.alive()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may make a PID namespace here")
def test_a_real_pid_namespace_counts_as_alive() -> None:
    """Owners in another namespace and here look at each other: the ids of one mean nothing in the other."""
    code = """
import sys
from faceorch.owner import Owner
me = Owner.me()
seen = Owner.parse(sys.argv[1])
print(me, me.judged(), seen.judged(), seen.alive(), flush=True)
input()
"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code, str(Owner.me())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout.readline().split()
        if not said:
            pytest.skip("no PID namespace can be made here")
        owner = Owner.parse(said[0])
        assert owner is not None
        assert said[1:] == ["True", "None", "True"]
        assert owner.pid == 1
        assert owner.boot == Owner.me().boot
        assert owner.namespace != Owner.me().namespace
        assert owner.judged() is None
        process.communicate("\n")
    assert owner.alive(), "nobody here can tell that it has ended"


def test_a_process_that_proc_hides_counts_as_alive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With hidepid, another user's process has no folder in /proc, but a signal says that it is there."""
    me = Owner.me()
    monkeypatch.setattr("faceorch.owner._start_ticks", lambda pid: None)
    monkeypatch.setattr("faceorch.owner._PROC", tmp_path)

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr("os.kill", refuse)
    assert me.judged() is None


class TestOldNotes:
    def test_one_whose_process_id_is_in_use_counts_as_alive(self) -> None:
        owner = Owner.parse(old_form(os.getpid(), 1700000000.25))
        assert owner is not None
        assert owner.judged() is None

    def test_one_whose_process_id_is_free_is_dead(self) -> None:
        owner = Owner.parse(old_form(2**22 + 1, 1700000000.0))
        assert owner is not None
        assert owner.judged() is False

    def test_one_of_an_earlier_boot_is_dead(self) -> None:
        owner = Owner.parse(old_form(os.getpid(), 1.0, f"{socket.gethostname()}/earlier"))
        assert owner is not None
        assert owner.judged() is False

    def test_one_of_another_machine_counts_as_alive(self) -> None:
        owner = Owner.parse(old_form(2**22 + 1, 1.0, "elsewhere/boot"))
        assert owner is not None
        assert owner.judged() is None


@pytest.mark.parametrize("text", ["", "a:b:c", "a/b/c:1:2", "a/b:2:-3@1", "a/b:2:nan", "a/b:1:inf", "a/b:1:1@1\n"])
def test_other_text_is_no_owner(text: str) -> None:
    assert Owner.parse(text) is None
