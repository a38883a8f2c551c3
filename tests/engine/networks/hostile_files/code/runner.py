"""A runner that tries to get at the user's files, time, memory and screen. The test adds its videos."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from faceorch_runner import Event, EventKind, Job, Network, Progress
from faceorch_runner.events import EventStream

OUT = Path("/out")
MADE = OUT / "hostile_files.mp4"
# From RUN/hostile_files/out, where the host sees /out: a private file beside the folder of the runs.
KEY = "../../../../key"


# The stream of events, from the moment at which the deed is done.
STREAMS: list[EventStream] = []
FOR_GOOD_S = 86400.0


class Written:
    """What the contract wants to know of a video."""

    def __init__(self, path: Path) -> None:
        self.path, self.frames, self.blocked_s, self.first_frame_s = path, 25, 0.0, None


class HostileFiles(Network):
    def animate(self, job: Job, progress: Progress) -> Path:
        path = job.work / "video.mp4"
        path.write_bytes((Path(__file__).parent / "video.mp4").read_bytes())
        job.writers.append(Written(path))  # type: ignore[arg-type]
        emit = EventStream.emit

        def emitting(stream: EventStream, kind: EventKind, /, job_id: str | None = None, **data: Any) -> Event:
            if kind is EventKind.DONE:
                STREAMS.append(stream)
                globals()[job.settings["deed"]]()
            event = emit(stream, kind, job_id, **data)
            if kind is EventKind.DONE and job.settings["deed"] == "stays":
                time.sleep(FOR_GOOD_S)
            return event

        EventStream.emit = emitting  # type: ignore[method-assign,assignment]
        return path


def nothing() -> None:
    pass


def who() -> None:
    """Tell what it is, and what it was told of its surroundings."""
    print(f"user 0: {os.getuid() == 0}, group 0: {os.getgid() == 0}")
    print(f"proxies: {[name for name in os.environ if 'proxy' in name.lower()]}")


def stays() -> None:
    pass  # `animate` sees to it: once all has been told


def talks() -> None:
    while True:
        os.write(2, b"x" * 65536)


def closes_pipes() -> None:
    for number in range(256):
        with contextlib.suppress(OSError):
            os.close(number)
    time.sleep(FOR_GOOD_S)


def fills() -> None:
    (OUT / "many").mkdir()
    for number in range(120_000):
        os.mknod(f"/out/many/{number}")
    time.sleep(FOR_GOOD_S)


def picture() -> None:
    """Leave a small PNG of 400 megapixels."""
    MADE.write_bytes((Path(__file__).parent / "large.png").read_bytes())


def pictures_in_mp4() -> None:
    MADE.write_bytes((Path(__file__).parent / "png.mp4").read_bytes())


def swapped_link() -> None:
    """From /out it leads to the real video, from the run folder (there `inputs` is another folder) to the key."""
    (OUT / "x/y/z").mkdir(parents=True)
    (OUT / "inputs").symlink_to("x/y/z")
    MADE.rename(OUT / "key")
    MADE.symlink_to("inputs/../../../key")


def link() -> None:
    MADE.unlink()
    MADE.symlink_to(KEY)


def link_to_folder() -> None:
    MADE.unlink()
    MADE.symlink_to("..")


def pipe() -> None:
    MADE.unlink()
    os.mkfifo(MADE)


def device() -> None:
    MADE.unlink()
    try:
        os.mknod(MADE, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    except PermissionError as error:
        print(f"a device: {error.strerror}")
        MADE.symlink_to("/dev/zero")


def hard_link() -> None:
    MADE.rename(OUT / "real")
    for source in ("/job/portrait.png", "/job/job.json", "/opt/faceorch/network/runner.py"):
        try:
            MADE.hardlink_to(source)
        except OSError as error:
            print(f"{source}: {error.strerror}")
    MADE.hardlink_to(OUT / "real")


def growing() -> None:
    """Go on after the end of the runner, from another session."""
    code = f"while True:\n with open({str(MADE)!r}, 'ab') as file: file.write((8).to_bytes(4, 'big') + b'free')"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=2)
    size = MADE.stat().st_size
    while MADE.stat().st_size == size:
        pass


def setuid() -> None:
    MADE.chmod(0o6777)


def giant() -> None:
    os.truncate(MADE, 1 << 40)


def folder() -> None:
    MADE.rename(OUT / "real")
    MADE.mkdir()
    (OUT / "real").rename(MADE / MADE.name)


def playlist() -> None:
    (OUT / "real.mp4").write_bytes(MADE.read_bytes())
    MADE.write_text("ffconcat version 1.0\nfile real.mp4\n")


def beside() -> None:
    """Reach for what the host writes beside /out, and for what it gave."""
    for path in ("/out/../log.txt", "/out/../events.jsonl", "/job/job.json", "/job/portrait.png"):
        try:
            Path(path).unlink(missing_ok=True)
            Path(path).symlink_to(KEY)
        except OSError as error:
            print(f"{path}: {error.strerror}")


def closed() -> None:
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


def flood() -> None:
    for _ in range(100):
        sys.stderr.write(("x" * 1023 + "\n") * 1024)
    print("the end of the flood", flush=True)


def events() -> None:
    """Say what no record can hold, and what no reader expects."""
    fd = STREAMS[0]._fd
    records = [
        b'{"event":"done","t_s":1,"elapsed_s":-5}',
        b'{"event":"stage","t_s":Infinity,"name":"x"}',
        b'{"event":"metric","t_s":1,"name":"first_frame_s","unit":"s","value":-1}',
        b'{"event":"progress","t_s":1,"done":1e999,"total":1e999}',
        b'{"event":"progress","t_s":1,"done":' + b"9" * 400 + b',"total":1}',
        b'{"event":"progress","t_s":' + b"9" * 5000 + b',"done":1,"total":1}',
        b'{"event":"stage","t_s":1,"name":"\\udcff"}',
        b'{"event":"stage","t_s":1,"name":"\\u001b]0;x\\u0007"}',
        b"[" * 60000,
        b"x" * 20_000_000,
        *(b'{"event":"stage","t_s":1,"name":"s%d"}' % number for number in range(20000)),
        *(b'{"event":"metric","t_s":1,"name":"m%d","unit":"u","value":1}' % number for number in range(20000)),
    ]
    for record in records:
        data = memoryview(b"\x1e" + record + b"\n")
        while data:
            data = data[os.write(fd, data) :]
