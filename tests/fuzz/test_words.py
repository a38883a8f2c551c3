"""Command lines that nobody means: usage or one clear line, and never a bug."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from faceorch.cli.main import COMMANDS, cli
from tests.fuzz.conftest import inputs

# Commands that go out to the network, or build: they are given nothing that they could begin with.
BUSY = {"speak", "lock", "smoke", "top", "test-network", "doctor"}
OPTIONS = ["--image", "--audio", "--network", "--set", "--out", "--timeout", "--python", "--gpus", "--seed", "--repeat"]
OPTIONS += ["--base", "--resume", "--runtime", "--weights", "--price-per-kwh", "--currency", "--json", "-q", "--help"]
OPTIONS += [
    "--use-image",
    "--warmup",
    "--timeline",
    "--no-face-check",
    "--dir",
    "--mirror",
    "--all",
    "--dry-run",
    "--yes",
]
VALUES = ["", "baseline", "baseline.max_size=1", "baseline=~x/y", "1e999", "-1", "99999999999h", "10000000000", "nan"]
VALUES += [
    "/dev/null",
    "/dev/zero",
    "/",
    ".",
    "..",
    "~",
    "~nobody/x",
    "a" * 5000,
    "\ud800",
    "a\nb",
    "0,1",
    "=",
    "a=b=c",
]
VALUES += ["--", "-", "http://127.0.0.1:1/", "x=http://", "\x1b[31m", "sadtalker", "none", "parquet", "docker", "venv"]


def argument(text: str) -> str:
    """Return a word as Python gets it from a shell: bytes that are not UTF-8 become lone surrogates."""
    return os.fsdecode(text.encode("utf-8", "surrogatepass"))


TEXT = st.text(st.characters(exclude_characters="\0"), max_size=12)
WORD = st.one_of(st.sampled_from(OPTIONS + VALUES), TEXT).map(argument)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "DOCKER_HOST": "unix:///nowhere.sock",
        "HF_HUB_OFFLINE": "1",
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)


@inputs("words")
@given(st.sampled_from(sorted(set(COMMANDS) - BUSY)), st.lists(WORD, max_size=8))
def test_no_command_line_is_a_bug(name: str, words: list[str]) -> None:
    done = CliRunner().invoke(cli, [name, *words], prog_name="faceorch")
    clear = done.exception is None or isinstance(done.exception, SystemExit)
    assert clear, done.exc_info
    assert done.exit_code in {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14}, done.output


def test_nothing_is_left_out() -> None:
    assert set(COMMANDS) >= BUSY
