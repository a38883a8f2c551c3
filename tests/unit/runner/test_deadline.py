"""The runner's own limit of time."""

from __future__ import annotations

from tests.unit.runner.conftest import HANG, Start, failing, finish


def test_the_runners_own_deadline_ends_a_hang(start: Start) -> None:
    code, events, _ = finish(start(failing(HANG), timeout_s=0.3))
    assert code == 1
    assert events[-1].data == {"kind": "timeout", "message": "not finished after 0.3 s"}
