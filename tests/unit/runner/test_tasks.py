"""A task that does not follow the contract is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.runner.conftest import Run


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"videos": [{"id": "../one", "video": "x"}]}, "job id '../one' is not a plain file name"),
        ({"videos": [{"id": "one", "video": "x"}] * 2}, "two videos have the same id"),
        ({"videos": [{"id": "one"}]}, "'video' is missing"),
        ({"videos": [{"id": "one", "video": "x", "seed": 1}]}, "a video to judge has unknown keys: seed"),
        ({"op": "judg"}, "'op' is 'judg', one of synthetic, convert, judge needed"),
        ({"op": "synthetic", "full": True}, "the job file has unknown keys: audio, portrait, videos"),
        ({"portrait": 3}, "'portrait' is int"),
    ],
)
def test_a_wrong_order_is_refused(run: Run, fields: dict[str, Any], message: str) -> None:
    code, events, _ = run(**fields)
    assert code == 1
    assert events[-1].data == {"kind": "bad_input", "message": message}
