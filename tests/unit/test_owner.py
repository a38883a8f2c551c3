"""Who started a container or a process, and whether it still lives."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

from faceorch.owner import Owner


def test_this_process_is_alive_and_survives_a_round_trip() -> None:
    me = Owner.me()
    assert me.alive()
    assert Owner.parse(str(me)) == me


def test_an_ended_process_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = Owner.of(process.pid)
    assert owner.alive()
    process.communicate(b"\n")
    assert not owner.alive()


def test_a_process_id_that_is_used_again_is_someone_else() -> None:
    me = Owner.me()
    assert not dataclasses.replace(me, started_s=me.started_s - 100).alive()


def test_an_earlier_boot_of_this_machine_is_dead() -> None:
    me = Owner.me()
    host = me.machine.partition("/")[0]
    assert not dataclasses.replace(me, machine=f"{host}/other-boot").alive()


def test_another_machine_counts_as_alive() -> None:
    assert dataclasses.replace(Owner.me(), machine="elsewhere/boot").alive()


def test_other_text_is_no_owner() -> None:
    assert Owner.parse("") is None
    assert Owner.parse("a:b:c") is None
