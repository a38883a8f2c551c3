"""What a runner's end means."""

from __future__ import annotations

import pytest

from faceorch.record.kinds import OutcomeKind
from faceorch.runs.outcome import explain_error, explain_exit
from faceorch.runs.transcript import RunnerError
from faceorch.runtimes import Exit
from faceorch_runner import ErrorKind
from tests.conftest import MakeNetwork


@pytest.mark.parametrize(
    ("end", "in_container", "kind", "reason"),
    [
        (
            Exit(code=137, signal=9, oom_killed=True),
            True,
            "out_of_memory",
            "it used more memory than its limit of 1 GB",
        ),
        (Exit(code=0, oom_killed=True), True, "out_of_memory", "it used more memory than its limit of 1 GB"),
        (Exit(code=137, signal=9), True, "killed", "it was killed (signal 9)"),
        (Exit(code=-11, signal=11), False, "crash", "it crashed in native code (SIGSEGV)"),
        (Exit(code=134, signal=6), True, "crash", "it crashed in native code (SIGABRT)"),
        (Exit(code=0), False, "crash", "it ended before it was done and without saying why"),
        (Exit(code=3), False, "crash", "it ended with exit code 3 and without saying why"),
        (Exit(code=127), True, "start_failed", "its image cannot be started (exit code 127)"),
        (Exit(code=None), False, "crash", "it ended with exit code None and without saying why"),
    ],
)
def test_an_end_without_a_word_is_explained(
    make_network: MakeNetwork, end: Exit, in_container: bool, kind: str, reason: str
) -> None:
    failure = explain_exit(end, make_network("grey"), in_container=in_container)
    assert failure.kind.value == kind
    assert failure.text.startswith(reason)
    assert failure.remedy


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_kind_of_the_contract_has_an_outcome_and_a_remedy(make_network: MakeNetwork, kind: ErrorKind) -> None:
    failure = explain_error(RunnerError(kind, "why"), make_network("grey"))
    assert failure.kind.value == kind.value
    assert failure.remedy


def test_a_full_disk_is_told_apart(make_network: MakeNetwork) -> None:
    error = RunnerError(ErrorKind.CRASH, "OSError: [Errno 28] No space left on device")
    assert explain_error(error, make_network("grey")).kind is OutcomeKind.DISK_FULL
