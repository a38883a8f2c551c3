"""What a runner prints faster than it is followed."""

from __future__ import annotations

from faceorch.runtimes import Output, Stream


def test_what_a_full_queue_has_no_room_for_holds_nobody_up_once_it_is_left() -> None:
    output = Output()
    output.leave()
    for _ in range(10_000):
        output.put((Stream.STDERR, b"x"))
    assert 0 < len(list(output.rest())) < 1000
