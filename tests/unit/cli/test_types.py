"""Types of options: what is refused, and a `~` that the shell has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceorch.cli.types import Folder
from tests.unit.conftest import faceorch


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--price-per-kwh", "nan"],
            "'nan' is not a price; write a number such as 0.30, and the currency with --currency",
        ),
        (
            ["--price-per-gpu-hour", "-1"],
            "'-1' is not a price; write a number such as 0.30, and the currency with --currency",
        ),
        (["--currency", "EUR"], "--currency is of --price-per-kwh or --price-per-gpu-hour: give one of them"),
        (["--repeat", "0"], "0 is not in the range 1<=x<=1000."),
    ],
)
def test_what_is_no_price_is_refused(portrait: Path, clip: Path, arguments: list[str], message: str) -> None:
    done = faceorch("run", "--image", str(portrait), "--audio", str(clip), *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Folder(path_type=Path).convert(Path("~/talks"), None, None) == tmp_path / "talks"
