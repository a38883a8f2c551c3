"""The only way in for a file that somebody else left, and the only way out for a folder that somebody else filled."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from faceorch import files
from faceorch.files import (
    HALF_MADE,
    Held,
    Refused,
    clear,
    empty_folder,
    held,
    open_below,
    open_own,
    own_folder,
    remove,
    replacing,
    scratch,
    take,
    write_atomically,
)
from tests.plain_user import nobodys_folder, run_plain

__all__ = ["nobodys_folder"]

LIMIT = 1 << 20


def a_link(place: Path, secret: Path) -> None:
    place.symlink_to(secret)


def a_relative_link(place: Path, secret: Path) -> None:
    place.symlink_to(os.path.relpath(secret, place.parent))


def a_link_to_nothing(place: Path, secret: Path) -> None:
    place.symlink_to("nothing")


def a_link_to_a_folder(place: Path, secret: Path) -> None:
    place.symlink_to(secret.parent, target_is_directory=True)


def a_hard_link(place: Path, secret: Path) -> None:
    place.hardlink_to(secret)


def a_folder(place: Path, secret: Path) -> None:
    place.mkdir()
    (place / "v.mp4").write_bytes(b"video")


def a_pipe(place: Path, secret: Path) -> None:
    os.mkfifo(place)


def a_socket(place: Path, secret: Path) -> None:
    here = Path.cwd()
    os.chdir(place.parent)  # the path of a socket has a limit
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.chdir(here)


def a_device(place: Path, secret: Path) -> None:
    try:
        os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("a device cannot be made here")


def a_sparse_giant(place: Path, secret: Path) -> None:
    with place.open("wb") as file:
        file.truncate(1 << 40)


def nothing(place: Path, secret: Path) -> None:
    pass


HOSTILE = [
    (a_link, "v.mp4 is a link"),
    (a_relative_link, "v.mp4 is a link"),
    (a_link_to_nothing, "v.mp4 is a link"),
    (a_link_to_a_folder, "v.mp4 is a link"),
    (a_hard_link, "v.mp4 is a second name (hard link) of another file"),
    (a_folder, "v.mp4 is a folder"),
    (a_pipe, "v.mp4 is not a regular file"),
    (a_socket, "v.mp4 is not a regular file"),
    (a_device, "v.mp4 is not a regular file"),
    (a_sparse_giant, f"v.mp4 has {1 << 40} bytes, {LIMIT} at most are taken"),
    (nothing, "v.mp4 does not exist"),
]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir()
    path = tmp_path / "private" / "key"
    path.write_bytes(b"a private key")
    path.chmod(0o600)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "work" / "out").mkdir(parents=True)
    return tmp_path / "work" / "out"


@pytest.mark.parametrize(("leave", "reason"), HOSTILE)
def test_what_is_not_a_plain_file_of_its_own_is_refused(
    out: Path, secret: Path, leave: Callable[[Path, Path], None], reason: str
) -> None:
    leave(out / "v.mp4", secret)
    with pytest.raises(Refused) as caught:
        take(out.parent, "out/v.mp4", out.parent / "v.mp4", limit=LIMIT)
    assert str(caught.value) == reason
    assert [path.name for path in out.parent.iterdir()] == ["out"], "nothing of it is left"
    assert (secret.read_bytes(), stat.S_IMODE(secret.stat().st_mode)) == (b"a private key", 0o600)


def test_no_folder_on_the_way_may_be_a_link(out: Path, secret: Path) -> None:
    (secret.parent / "out").mkdir()
    (secret.parent / "out" / "v.mp4").write_bytes(b"private")
    out.rmdir()
    out.symlink_to(secret.parent / "out", target_is_directory=True)
    with pytest.raises(Refused, match=r"v\.mp4 cannot be opened: Not a directory"):
        take(out.parent, "out/v.mp4", out.parent / "v.mp4", limit=LIMIT)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../private/key", "out/../../private/key", "out//v", "./v", "v\0"])
def test_only_plain_relative_paths_are_opened(out: Path, secret: Path, name: str) -> None:
    with pytest.raises(Refused, match="is not a plain relative path"):
        open_below(out.parent, name, limit=LIMIT)


def test_a_copy_has_the_same_bytes_and_a_plain_mode(out: Path) -> None:
    content = os.urandom(300_001)
    (out / "v.mp4").write_bytes(content)
    (out / "v.mp4").chmod(0o6777)
    copy = out.parent / "v.mp4"
    copy.symlink_to(out.parent / "elsewhere")  # what lay under the new name is not written through
    assert take(out.parent, "out/v.mp4", copy, limit=LIMIT) == 300_001
    assert copy.read_bytes() == content
    assert (stat.filemode(copy.lstat().st_mode), copy.stat().st_nlink) == ("-rw-r--r--", 1)
    assert copy.stat().st_ino != (out / "v.mp4").stat().st_ino
    assert not (out.parent / "elsewhere").exists()


def test_a_copy_by_hand_has_the_same_bytes(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(*_: object) -> int:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", elsewhere, raising=False)
    content = os.urandom(3 * files._PIECE_BYTES + 1)
    (out / "v.mp4").write_bytes(content)
    take(out.parent, "out/v.mp4", out.parent / "v.mp4", limit=1 << 23)
    assert (out.parent / "v.mp4").read_bytes() == content


@pytest.mark.parametrize("by", [100, -100])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_file_that_grows_or_shrinks_while_it_is_copied_is_refused(
    out: Path, by: int, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "v.mp4").write_bytes(bytes(1000))
    copy = files._copy

    def changing(source: int, target: int, size: int) -> int:
        if when == "after":
            done = copy(source, target, size)
            os.truncate(out / "v.mp4", size + by)
            return done
        os.truncate(out / "v.mp4", size + by)
        return copy(source, target, size)

    monkeypatch.setattr(files, "_copy", changing)
    with pytest.raises(Refused, match="changed while it was copied"):
        take(out.parent, "out/v.mp4", out.parent / "v.mp4", limit=LIMIT)
    assert not (out.parent / "v.mp4").exists()


def test_a_file_that_becomes_a_link_once_it_was_looked_at_is_refused(
    out: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (out / "v.mp4").write_bytes(b"video")
    check = files._check_kind

    def swapping(*given: object) -> None:
        check(*given)  # type: ignore[arg-type]
        (out / "v.mp4").unlink()
        (out / "v.mp4").symlink_to(secret)

    monkeypatch.setattr(files, "_check_kind", swapping)
    with pytest.raises(Refused, match=r"v\.mp4 cannot be opened: "):
        take(out.parent, "out/v.mp4", out.parent / "v.mp4", limit=LIMIT)


@pytest.mark.parametrize("mode", ["w", "a"])
@pytest.mark.parametrize("leave", [a_link, a_hard_link, a_pipe, a_folder, a_link_to_a_folder])
def test_a_log_is_never_written_through_what_took_its_name(
    out: Path, secret: Path, leave: Callable[[Path, Path], None], mode: str
) -> None:
    leave(out / "log.txt", secret)
    with open_own(out / "log.txt", mode) as log:  # type: ignore[arg-type]
        log.write("line\n")
    assert (out / "log.txt").read_text("utf-8") == "line\n"
    assert secret.read_bytes() == b"a private key"


def test_a_log_of_ours_is_gone_on_with(out: Path) -> None:
    for _ in range(2):
        with open_own(out / "log.txt", "a") as log:
            log.write("line\n")
    assert (out / "log.txt").read_text("utf-8") == "line\nline\n"


def test_a_folder_of_ours_is_not_a_link_to_another(out: Path, secret: Path) -> None:
    (out / "grey").symlink_to(secret.parent, target_is_directory=True)
    own_folder(out / "grey")
    assert ((out / "grey").is_symlink(), list((out / "grey").iterdir())) == (False, [])
    (out / "grey" / "kept").touch()
    own_folder(out / "grey")
    assert [path.name for path in (out / "grey").iterdir()] == ["kept"]


def deep(folder: Path) -> None:
    """Make folders in folders, deeper than any path can say."""
    inner = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("x" * 200, dir_fd=inner)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = below
    os.close(inner)


def fill(folder: Path, secret: Path) -> None:
    """Leave what a hostile runner leaves."""
    for leave, _ in HOSTILE:
        if leave is not a_device:
            (folder / leave.__name__).mkdir()
            leave(folder / leave.__name__ / "v.mp4", secret)
    deep(folder)
    for mode in (0o000, 0o200, 0o500):
        closed = folder / f"closed-{mode:o}"
        (closed / "inner" / "more").mkdir(parents=True)
        (closed / "inner" / "link").symlink_to(secret)
        (closed / "inner" / "more").chmod(mode)
        (closed / "inner").chmod(mode)
        closed.chmod(mode)
    folder.chmod(0o000)


PLAIN_USER = """
import sys
from pathlib import Path
from tests.unit.test_files import fill
from faceorch.files import empty_folder
top = Path(sys.argv[1])
(top / "private").mkdir(); (top / "private/key").write_bytes(b"a private key"); (top / "private/key").chmod(0o600)
with empty_folder(top / "out") as out:
    fill(out, top / "private/key")
assert not (top / "out").exists()
(top / "out").mkdir(); fill(top / "out", top / "private/key")
with empty_folder(top / "out") as out:
    assert list(out.iterdir()) == []
key = (top / "private/key")
assert (key.read_bytes(), key.stat().st_mode & 0o777, key.stat().st_nlink) == (b"a private key", 0o600, 1)
"""


def test_a_folder_goes_whatever_is_in_it(tmp_path: Path, secret: Path) -> None:
    with empty_folder(tmp_path / "out") as out:
        fill(out, secret)
    assert not (tmp_path / "out").exists()
    assert (secret.read_bytes(), stat.S_IMODE(secret.stat().st_mode)) == (b"a private key", 0o600)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="becoming another user needs root; the test above is that of a plain user"
)
def test_a_folder_goes_whatever_is_in_it_for_a_plain_user(nobodys_folder: Path) -> None:
    done = run_plain(["-c", PLAIN_USER, str(nobodys_folder)])
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_link_itself_goes_and_not_what_it_points_to(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "link").symlink_to(secret.parent, target_is_directory=True)
    remove(tmp_path / "link")
    remove(tmp_path / "never there")
    assert secret.exists()
    assert not (tmp_path / "link").is_symlink()


def test_what_dead_writers_have_left_goes_and_what_is_held_stays(tmp_path: Path) -> None:
    with scratch("faceorch-x-", tmp_path) as living:
        dead, other, link = tmp_path / "faceorch-x-dead", tmp_path / "faceorch-y", tmp_path / "faceorch-x-link"
        (dead / "deep").mkdir(parents=True)
        other.mkdir()
        link.symlink_to(other)
        with scratch("faceorch-x-", tmp_path) as mine:
            assert mine.is_dir()
            assert (living.is_dir(), dead.exists(), other.is_dir(), link.is_symlink()) == (True, False, True, True)
        assert not mine.exists()
        with pytest.raises(Held), held(living):
            pass
    assert not living.exists()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.write("no bytes")  # type: ignore[call-overload]
    assert path.read_bytes() == b"old"
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
        clear(tmp_path)  # as another faceorch would do meanwhile
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~files.umask()
    assert list(tmp_path.iterdir()) == [path]


def test_half_written_files_of_the_dead_go(tmp_path: Path) -> None:
    (tmp_path / f"{HALF_MADE}dead").touch()
    (tmp_path / ".gitignore").touch()
    (tmp_path / f"{HALF_MADE}link").symlink_to(".gitignore")
    write_atomically(tmp_path / "note", b"whoever writes beside it removes it")
    (tmp_path / "note").unlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{HALF_MADE}link", ".gitignore"]
