"""Which repetitions of a job are left to do."""

from __future__ import annotations

from faceorch.record.request import Request
from faceorch.runs.repeats import Turn, turns
from tests.unit.conftest import repetition


def request(repeat: int, warmup: int = 0) -> Request:
    return Request(portrait="face.png", clip="clip.wav", repeat=repeat, warmup=warmup)


class TestTurns:
    def test_warm_ups_come_first(self) -> None:
        assert turns(request(2, 1), []) == [Turn(1, 1, True), Turn(1, 2, False), Turn(2, 2, False)]
        assert [str(turn) for turn in turns(request(2, 1), [])] == [
            "warm-up 1 of 1",
            "repetition 1 of 2",
            "repetition 2 of 2",
        ]

    def test_a_run_that_is_taken_up_does_what_is_missing_and_warms_up_again(self) -> None:
        assert turns(request(3, 1), [repetition(1, 5.0)]) == [Turn(1, 1, True), Turn(2, 3, False), Turn(3, 3, False)]

    def test_with_everything_done_there_is_no_turn(self) -> None:
        assert turns(request(1, 3), [repetition(1, 5.0)]) == []
