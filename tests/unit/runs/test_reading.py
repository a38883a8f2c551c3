"""Both inputs are read by a child, and whatever becomes of that is one line."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faceorch.errors import InputError
from faceorch.media.answers import ClipRead, PortraitRead, parse
from faceorch.media.clip import read_clip
from faceorch.media.portrait import read_portrait
from faceorch.runs.reading import Reading
from tests.conftest import FOR_EVER_S, LIMIT_S


@pytest.fixture
def inputs(portrait: Path, clip: Path) -> tuple[Path, Path]:
    return portrait, clip


def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str) -> None:
    """Let a shell script be the child."""
    script = tmp_path / "child"
    script.write_text(f"#!/bin/sh\n{body}\n", "utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", os.fspath(script))


def refusal(reading: Reading) -> str:
    with pytest.raises(InputError) as caught:
        reading.result()
    return caught.value.message


def test_it_reads_what_is_read_here(portrait: Path, clip: Path) -> None:
    seen, heard = Reading(portrait, clip).result()
    assert seen == read_portrait(portrait)
    assert heard == read_clip(clip)


def test_names_are_the_users_own(portrait: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b").mkdir()
    (Path("a b") / "face.png").write_bytes(portrait.read_bytes())
    Path("odd\udcff.wav").write_bytes(clip.read_bytes())
    seen, heard = Reading(Path("a b/face.png"), Path("odd\udcff.wav")).result()
    assert (seen.source, heard.source) == (Path("a b/face.png"), Path("odd\udcff.wav"))
    Path("none.wav").touch()
    assert refusal(Reading(Path("a b/face.png"), Path("none.wav"))) == "none.wav is empty (0 bytes)"
    assert refusal(Reading(Path("no.png"), Path("none.wav"))).startswith("cannot read no.png: ")


def test_code_in_the_current_folder_is_not_imported(
    portrait: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for module in ("json", "av", "PIL", "threading"):
        (here / f"{module}.py").write_text(f"open({os.fspath(tmp_path / 'imported')!r}, 'w')\nraise SystemExit(1)\n")
    monkeypatch.chdir(here)
    Reading(portrait, clip).result()
    assert not (tmp_path / "imported").exists()


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("exit 3", "ended with exit code 3"),
        ("yes it is | head -n 100000 >&2; echo MemoryError >&2; exit 1", "ended with exit code 1: MemoryError"),
        ("kill -SEGV $$", "was ended by SIGSEGV"),
        ("kill -40 $$", "was ended by signal 40"),
        ("echo hello", "ended with"),
        ("""echo '{"type": "clip", "bytes": 1, "source_sha256": "", "sample_rate_hz": 1, "notes": []}'; echo""", "was"),
        ("""echo '{"type": "portrait", "bytes": -1}'""", "ended"),
    ],
)
def test_a_child_that_dies_names_the_file(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, how: str
) -> None:
    stand_in(monkeypatch, tmp_path, body)
    assert refusal(Reading(*inputs)).startswith(f"{inputs[0]} cannot be decoded: its decoder ")
    if not body.startswith("echo"):
        assert refusal(Reading(*inputs)).endswith(how)


def test_the_clip_is_named_once_the_portrait_is_read(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = '{"type": "portrait", "bytes": 2, "source_sha256": "", "width": 64, "height": 64, "notes": []}'
    stand_in(monkeypatch, tmp_path, f"echo '{said}'; printf ab; kill -KILL $$")
    assert refusal(Reading(*inputs)) == f"{inputs[1]} cannot be decoded: its decoder was ended by SIGKILL"


def test_no_program_can_be_started(inputs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    with pytest.raises(InputError, match="cannot be read: No such file or directory"):
        Reading(*inputs)


def test_nothing_temporary_can_be_written(inputs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with pytest.raises(InputError, match="cannot be read: No space left on device"):
        Reading(*inputs)


def test_the_current_folder_is_gone(inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError) as caught:
        Reading(*inputs)
    assert caught.value.remedy == "try again, in a folder that is there"


def test_leaving_ends_it(inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tmp_path, "exec sleep 86400")
    with Reading(*inputs) as reading:
        assert reading._child.poll() is None
    assert reading._child.returncode == -signal.SIGKILL


def test_it_goes_with_who_asked() -> None:
    busy = "import time; from faceorch.media import child; child.read_portrait = time.sleep; child.Path = float; "
    with subprocess.Popen([sys.executable, "-c", busy + "child.main()"], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(["/", str(FOR_EVER_S), ""]).encode() + b"\n")
        process.stdin.close()
        assert process.wait(LIMIT_S) == 1


def test_an_answer_is_checked() -> None:
    good = b'{"type":"clip","bytes":4,"source_sha256":"","sample_rate_hz":16000,"notes":[]}'
    assert parse(good, ClipRead) == ClipRead(4, "", 16000, ())
    assert parse(good, PortraitRead) is None
    assert parse(good.replace(b"16000", b"0"), ClipRead) is None
    assert parse(good.replace(b"4,", b"1e30,"), ClipRead) is None
    with pytest.raises(InputError, match="no face"):
        parse(b'{"type":"refused","message":"no face","remedy":""}', ClipRead)
