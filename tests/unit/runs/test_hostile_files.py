"""What a runner leaves for the host, and what a run folder of somebody else holds: nothing of the user gets out."""

from __future__ import annotations

import base64
import os
import stat
import textwrap
from pathlib import Path

import pytest
from msgspec import structs

from faceorch import report
from faceorch.comparison import resume
from faceorch.record.folder import RunFolder
from faceorch.record.kinds import JobStatus, OutcomeKind
from tests.conftest import GREY_RUNNER, MakeNetwork, compare_here, reason_of
from tests.unit.conftest import Listener, RequestFor

SECRET = b"-----BEGIN PRIVATE KEY----- 5f1c0a -----END PRIVATE KEY-----"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def leaving(body: str, secret: Path) -> str:
    """Return the source of a runner that makes its video as it should, and then does `body` to it."""
    return f"""
import os, wave
from pathlib import Path
from faceorch_runner import Network
import faceorch_runner.main

class Leaving(Network):
    def animate(self, job, progress):
        with job.video(64, 48, 25) as video:
            for index in range(25):
                video.write(bytes(64 * 48 * 3))
        out, key = job.work.parent, Path({os.fspath(secret)!r})
        made = out / "grey.mp4"
        def finished(path, target):
            os.rename(path, target)
{textwrap.indent(textwrap.dedent(body).strip(), " " * 12)}
        class Os:
            replace = staticmethod(finished)
            def __getattr__(self, name): return getattr(os, name)
        faceorch_runner.main.os = Os()
        return video.path
"""


# In /out it leads to the real video; from where the finished video lies it leads to the key.
SWAPPED = """
    os.rename(made, out / "key")
    made.symlink_to("key")
    (out.parent.parent / "key").symlink_to(key)
"""
LISTED = """
    for place in (out, out.parent):
        (place / "real.mp4").write_bytes(made.read_bytes())
    made.write_text("ffconcat version 1.0\\nfile real.mp4\\n")
"""


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (SWAPPED, "grey.mp4 is a link"),
        ("made.unlink(); made.symlink_to(key)", "grey.mp4 is a link"),
        ("made.unlink(); made.symlink_to(key.parent)", "grey.mp4 is a link"),
        ("made.unlink(); made.hardlink_to(key)", "grey.mp4 is a second name (hard link) of another file"),
        ("made.unlink(); os.mkfifo(made)", "grey.mp4 is not a regular file"),
        ("made.unlink(); made.mkdir()", "grey.mp4 is a folder"),
        ("os.truncate(made, 1 << 43)", f"grey.mp4 has {1 << 43} bytes, {1 << 32} at most are taken"),
        (LISTED, "grey.mp4 cannot be decoded: "),
    ],
)
def test_a_video_that_is_not_a_file_of_its_own_is_a_failure_and_shows_nothing(
    make_network: MakeNetwork, request_for: RequestFor, secret: Path, body: str, reason: str
) -> None:
    make_network("grey", leaving(body, secret))
    make_network("other")
    folder = compare_here(request_for("grey", "other"), Listener())
    job = folder.run.job("grey")
    assert (job.status, reason_of(job).kind) == (JobStatus.FAILED, OutcomeKind.BROKEN_VIDEO)
    assert reason_of(job).text.startswith(f"its video cannot be used: {reason}")
    assert not folder.video("grey").exists()
    assert sorted(path.name for path in folder.job_folder("grey").glob("*.mp4")) in ([], ["real.mp4"])
    assert folder.run.job("other").status is JobStatus.DONE
    for path in folder.path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert SECRET not in path.read_bytes()
            assert base64.b64encode(SECRET) not in path.read_bytes()
    assert (secret.read_bytes(), stat.S_IMODE(secret.stat().st_mode)) == (SECRET, 0o600)


def test_what_is_kept_is_a_copy_with_a_plain_mode_and_the_same_bytes(
    make_network: MakeNetwork, request_for: RequestFor, secret: Path
) -> None:
    make_network("grey", leaving("os.chmod(made, 0o6777)", secret))
    folder = compare_here(request_for("grey"), Listener())
    assert stat.filemode(folder.video("grey").lstat().st_mode) == "-rw-r--r--"
    video = folder.run.job("grey").video
    assert video is not None
    assert folder.holds(video)


def test_a_job_taken_up_again_writes_through_no_link(
    make_network: MakeNetwork, request_for: RequestFor, secret: Path
) -> None:
    body = """
        for name in ("log.txt", "events.jsonl", "job.json", "telemetry.parquet"):
            (out.parent / name).unlink(missing_ok=True)
            (out.parent / name).symlink_to(key)
        os._exit(1)
    """
    network = make_network("grey", leaving(body, secret))
    folder = compare_here(request_for("grey"), Listener())
    assert folder.run.job("grey").status is JobStatus.FAILED
    (network.code / "runner.py").write_text(GREY_RUNNER, "utf-8")
    again = resume(folder.path, Listener())
    assert again.run.job("grey").status is JobStatus.DONE
    assert secret.read_bytes() == SECRET
    assert not any(path.is_symlink() for path in folder.path.rglob("*"))


def test_a_folder_of_a_job_that_is_a_link_is_not_worked_in(
    make_network: MakeNetwork, request_for: RequestFor, secret: Path, tmp_path: Path
) -> None:
    network = make_network("grey", leaving("os._exit(1)", secret))
    folder = compare_here(request_for("grey"), Listener())
    theirs = tmp_path / "documents"
    (theirs / "out").mkdir(parents=True)
    (theirs / "out" / "letter").write_text("dear")
    job_folder = folder.job_folder("grey")
    job_folder.rename(tmp_path / "aside")
    job_folder.symlink_to(theirs, target_is_directory=True)
    (network.code / "runner.py").write_text(GREY_RUNNER, "utf-8")
    again = resume(folder.path, Listener())
    assert again.run.job("grey").status is JobStatus.DONE
    assert [path.name for path in theirs.rglob("*")] == ["out", "letter"]


@pytest.fixture
def finished(make_network: MakeNetwork, request_for: RequestFor) -> RunFolder:
    make_network("grey")
    return compare_here(request_for("grey"), Listener())


def rename_in_record(folder: RunFolder, name: str, size: int | None = None) -> None:
    """Let the record say that the video is called `name` (and the portrait too, unless a `size` is given)."""
    job = folder.run.jobs[0]
    assert job.video is not None
    video = structs.replace(job.video, file=name, bytes=job.video.bytes if size is None else size)
    folder.run.put(structs.replace(job, video=video))
    if size is None:
        inputs = folder.run.inputs
        folder.run.inputs = structs.replace(inputs, portrait=structs.replace(inputs.portrait, file=name))


@pytest.mark.parametrize("what", ["link", "folder on the way", "above", "absolute", "fifo", "address"])
def test_the_page_shows_only_what_lies_in_the_run_folder(finished: RunFolder, secret: Path, what: str) -> None:
    if what == "link":
        finished.video("grey").unlink()
        finished.video("grey").symlink_to(secret)
    elif what == "folder on the way":
        (finished.path / "inputs" / "more").symlink_to(secret.parent, target_is_directory=True)
        rename_in_record(finished, "inputs/more/key")
    elif what == "above":
        rename_in_record(finished, os.path.relpath(secret, finished.path))
    elif what == "absolute":
        rename_in_record(finished, os.fspath(secret))
    elif what == "fifo":
        finished.video("grey").unlink()
        os.mkfifo(finished.video("grey"))
    else:
        rename_in_record(finished, "http://example.org/v.mp4", 1 << 40)
        (finished.path / "http:" / "example.org").mkdir(parents=True)
        finished.video("grey").rename(finished.path / "http:" / "example.org" / "v.mp4")
    page = report.write_report(finished).read_text("utf-8")
    assert base64.b64encode(SECRET).decode() not in page
    assert "<video" not in page
    assert "the run folder no longer holds its video: " in page


def test_an_address_that_is_a_path_stays_a_path(finished: RunFolder) -> None:
    rename_in_record(finished, "http:/example.org", 1 << 40)
    (finished.path / "http:").mkdir()
    finished.video("grey").rename(finished.path / "http:" / "example.org")
    assert '<video src="http%3A/example.org"' in report.write_report(finished).read_text("utf-8")
