"""A runner that tries to get at the user's files through what it leaves in /out. The test adds `video.mp4`."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from faceorch_runner import Network
from faceorch_runner.events import EventKind, EventStream

OUT = Path("/out")
MADE = OUT / "hostile_files.mp4"
# From RUN/hostile_files/out, where the host sees /out: a private file beside the folder of the runs.
KEY = "../../../../key"


class Written:
    """What the contract wants to know of a video."""

    def __init__(self, path):
        self.path, self.frames, self.blocked_s, self.first_frame_s = path, 25, 0.0, None


class HostileFiles(Network):
    def animate(self, job, progress):
        path = job.work / "video.mp4"
        path.write_bytes((Path(__file__).parent / "video.mp4").read_bytes())
        job.writers.append(Written(path))
        emit = EventStream.emit

        def emitting(stream, kind, /, job_id=None, **data):
            if kind is EventKind.DONE:
                globals()[job.settings["deed"]]()
            return emit(stream, kind, job_id, **data)

        EventStream.emit = emitting
        return path


def nothing():
    pass


def swapped_link():
    """From /out it leads to the real video, from the run folder (there `inputs` is another folder) to the key."""
    (OUT / "x/y/z").mkdir(parents=True)
    (OUT / "inputs").symlink_to("x/y/z")
    MADE.rename(OUT / "key")
    MADE.symlink_to("inputs/../../../key")


def link():
    MADE.unlink()
    MADE.symlink_to(KEY)


def link_to_folder():
    MADE.unlink()
    MADE.symlink_to("..")


def pipe():
    MADE.unlink()
    os.mkfifo(MADE)


def device():
    MADE.unlink()
    try:
        os.mknod(MADE, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError as error:
        print(f"a device: {error.strerror}")
        MADE.symlink_to("/dev/zero")


def hard_link():
    MADE.rename(OUT / "real")
    for source in ("/job/portrait.png", "/job/job.json", "/opt/faceorch/network/runner.py"):
        try:
            MADE.hardlink_to(source)
        except OSError as error:
            print(f"{source}: {error.strerror}")
    MADE.hardlink_to(OUT / "real")


def growing():
    """Go on after the end of the runner, from another session."""
    code = f"while True:\n with open({str(MADE)!r}, 'ab') as file: file.write((8).to_bytes(4, 'big') + b'free')"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=2)
    size = MADE.stat().st_size
    while MADE.stat().st_size == size:
        pass


def setuid():
    MADE.chmod(0o6777)


def giant():
    os.truncate(MADE, 1 << 40)


def folder():
    MADE.rename(OUT / "real")
    MADE.mkdir()
    (OUT / "real").rename(MADE / MADE.name)


def playlist():
    (OUT / "real.mp4").write_bytes(MADE.read_bytes())
    MADE.write_text("ffconcat version 1.0\nfile real.mp4\n")


def beside():
    """Reach for what the host writes beside /out, and for what it gave."""
    for path in ("/out/../log.txt", "/out/../events.jsonl", "/job/job.json", "/job/portrait.png"):
        try:
            Path(path).unlink(missing_ok=True)
            Path(path).symlink_to(KEY)
        except OSError as error:
            print(f"{path}: {error.strerror}")


def closed():
    """Leave what cannot be removed by who does not know how."""
    inner = os.open(OUT, os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("x" * 200, dir_fd=inner)
        below = os.open("x" * 200, os.O_RDONLY, dir_fd=inner)
        os.close(inner)
        inner = below
    (OUT / "closed").mkdir()
    (OUT / "closed/link").symlink_to(KEY)
    (OUT / "closed").chmod(0)


def flood():
    for _ in range(100):
        sys.stderr.write(("x" * 1023 + "\n") * 1024)
    print("the end of the flood", flush=True)
