"""What an error's words say of its kind."""

from __future__ import annotations

from faceorch_runner import ErrorKind
from faceorch_runner.errors import classify


def test_error_sentences_are_classified() -> None:
    assert classify(RuntimeError("CUDA error: no kernel image is available for execution on the device")) is (
        ErrorKind.UNSUPPORTED_GPU
    )
    assert classify(OSError(12, "Cannot allocate memory")) is ErrorKind.OUT_OF_MEMORY
    assert classify(KeyError("x")) is ErrorKind.CRASH
