"""Runners and pickles in their sandbox that reach for the user's files through what they leave; as root and as nobody.

The network is networks/hostile_files. `do` is one attempt; it runs here, and in a process of a user without rights.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pickle
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from PIL import Image

from faceorch.cli.main import cli
from faceorch.engine.client import endpoint
from faceorch.images import built
from faceorch.images import recipe as images
from faceorch.images.build import build
from faceorch.images.options import BuildOptions
from faceorch.networks.discover import Network
from faceorch.networks.manifest import read_manifest
from faceorch.record.request import Request
from faceorch.weights.store import Store
from tests.conftest import compare_here
from tests.plain_user import NOBODY, nobodys_folder, run_plain

if TYPE_CHECKING:
    from docker import APIClient

__all__ = ["nobodys_folder"]

NAME = "hostile_files"
SECRET = "-----BEGIN PRIVATE KEY----- 5f1c0a -----END PRIVATE KEY-----"
CANNOT = "its video cannot be used: hostile_files.mp4 "
# What is done, and why its video is not taken; None: it is taken.
DEEDS = {
    "nothing": None,
    "who": None,
    "stays": None,  # after its work: its video is kept
    "talks": "not finished after 6 s",
    "closes_pipes": "not finished after 6 s",
    "fills": "it was ended: it has left more than 100,000 files and folders",
    "picture": f"{CANNOT}cannot be decoded: ",
    "pictures_in_mp4": f"{CANNOT}holds video of png, h264 and aac needed",
    "swapped_link": f"{CANNOT}is a link",
    "link": f"{CANNOT}is a link",
    "link_to_folder": f"{CANNOT}is a link",
    "pipe": f"{CANNOT}is not a regular file",
    "device": f"{CANNOT}is a link",  # a device itself cannot be made in there
    "hard_link": f"{CANNOT}is a second name (hard link) of another file",
    "growing": None,  # by a process that ends with the container
    "setuid": None,
    "giant": f"{CANNOT}has {1 << 40} bytes, {1 << 32} at most are taken",
    "folder": f"{CANNOT}is a folder",
    "playlist": f"{CANNOT}cannot be decoded: ",
    "beside": None,
    "closed": None,
    "flood": None,
    "events": None,
}
TIMES_S = {"talks": 6.0, "closes_pipes": 6.0}
LOGGED = {
    "who": ["user 0: False, group 0: False", "proxies: []"],
    "device": ["a device: Operation not permitted"],
    "hard_link": [
        "/job/portrait.png: Invalid cross-device link",
        "/job/job.json: Invalid cross-device link",
        "/opt/faceorch/network/runner.py: Invalid cross-device link",
    ],
    "beside": ["/out/../log.txt: Read-only file system", "/job/portrait.png: Read-only file system"],
    "flood": ["faceorch: the log has reached 64 MiB; the rest is not written"],
}
REFUSED = f"error: {NAME} cannot be converted: what its environment made of a/b.pth is not used: "
PICKLES = {
    "pass": "1 converted\n",
    "made.unlink(); made.symlink_to('../../../../../key')": f"{REFUSED}b.safetensors is a link\n",
    "made.parent.rename(out / 'r'); made.parent.symlink_to('r')": f"{REFUSED}b.safetensors cannot be opened: Not a ",
    "made.rename(out / 'r'); made.hardlink_to(out / 'r')": f"{REFUSED}b.safetensors is a second name (hard link) ",
    "made.unlink(); made.hardlink_to('/weights/a/b.pth')": f"{REFUSED}b.safetensors does not exist\n",
    "made.unlink(); os.mkfifo(made)": f"{REFUSED}b.safetensors is not a regular file\n",
    "made.unlink(); made.mkdir()": f"{REFUSED}b.safetensors is a folder\n",
    "os.truncate(made, 1 << 40)": f"{REFUSED}b.safetensors has {1 << 40} bytes, ",
    "made.write_bytes(b'PRIVATE KEY' * 99)": f"{REFUSED}it is not safetensors: it ends within its header\n",
    "made.chmod(0o6777)": "1 converted\n",
}
TEXTS = (".json", ".jsonl", ".txt", ".md", ".csv", ".html")
CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")  # nothing but tab and line feed
# Runs while the pickle is loaded, in the sandbox; acts when the converter is done.
AFTERWARDS = """
import os
from pathlib import Path
leave = os._exit
def afterwards(code):
    out = Path("/out")
    made = out / "a/b.safetensors"
    try:
        {}
        (out / "closed").mkdir()
        (out / "closed/link").symlink_to("../../../../../key")
        (out / "closed").chmod(0)
    finally:
        leave(code)
os._exit = afterwards
"""


class Hostile:
    """What a pickle may hold."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (AFTERWARDS.format(self.code), {})


def do(deed: str, top: Path) -> dict[str, Any]:
    """Let the runner do something; return what came of it."""
    request = Request(
        portrait=str(top / "face.png"),
        clip=str(top / "clip.wav"),
        networks=(NAME,),
        runtime="docker",
        settings={NAME: {"deed": deed}},
        timeout_s=TIMES_S.get(deed, 300.0),
    )
    folder = compare_here(request)
    (job,) = folder.run.jobs
    files = [path for path in folder.path.rglob("*") if stat.S_ISREG(path.lstat().st_mode)]
    secrets = (SECRET.encode(), base64.b64encode(SECRET.encode()))
    video = folder.video(NAME)
    found = {
        "reason": None if job.reason is None else job.reason.text,
        "shown": [path.name for path in files if any(secret in path.read_bytes() for secret in secrets)],
        "kept": [stat.filemode(video.lstat().st_mode), video.lstat().st_nlink] if os.path.lexists(video) else None,
        "whole": job.video is not None and folder.holds(job.video),
        "left": sorted(path.name for path in folder.job_folder(NAME).iterdir()),
        "log": (folder.job_folder(NAME) / "log.txt").read_text("utf-8").splitlines()[-30:],
        "secret": kept_secret(top),
        "controls": [path.name for path in files if path.suffix in TEXTS and CONTROL.search(path.read_bytes())],
    }
    shutil.rmtree(folder.path)
    return found


def convert(code: str, top: Path) -> dict[str, Any]:
    """Convert a pickle that runs `code` in the sandbox; return what came of it."""
    content = pickle.dumps({"weight": bytes(4000), "x": Hostile(code)}, protocol=2)
    (top / "have").mkdir(exist_ok=True)
    (top / "have" / "b.pth").write_bytes(content)
    file = {"path": "a/b.pth", "source": {"url": "https://example.org/b"}, "size": len(content), "licence": "MIT"}
    file |= {"sha256": hashlib.sha256(content).hexdigest(), "commercial": True, "why": "a test"}
    weights = {"schema": 1, "files": [{**file, "convert": {"path": "a/b.safetensors"}}]}
    manifest = top / "networks" / NAME / "weights.yaml"
    manifest.write_text(json.dumps(weights), "utf-8")
    place = ["--dir", str(top / "store")]
    try:
        brought = CliRunner().invoke(cli, ["weights", "pull", NAME, "--from", str(top / "have"), *place])
        done = CliRunner().invoke(cli, ["weights", "convert", NAME, "--runtime", "docker", *place])
    finally:
        manifest.unlink()
    store = Store(top / "store")
    found = {
        "said": brought.output * (brought.exit_code != 0) + done.output,
        "modes": sorted({stat.filemode(path.lstat().st_mode) for path in (store.root / "blobs").iterdir()}),
        "left": [path.name for path in (store.root / "partial").iterdir()],
        "view": sorted(path.name for path in store.view(NAME).rglob("b.*")),
        "secret": kept_secret(top),
    }
    shutil.rmtree(store.root)
    return found


def kept_secret(top: Path) -> list[Any]:
    found = (top / "key").lstat()
    return [(top / "key").read_text("utf-8"), stat.filemode(found.st_mode), found.st_nlink]


def main() -> None:
    """Do all that is asked for on stdin, as whoever this is."""
    what, names, top = json.load(sys.stdin)
    (top := Path(top)).joinpath("key").write_text(SECRET)
    (top / "key").chmod(0o600)
    print(json.dumps([{"do": do, "convert": convert}[what](name, top) for name in names]))


Together = Callable[[str, list[str]], dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def network(api: APIClient, base_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of the network, whose image is built."""
    folder = tmp_path_factory.mktemp("networks") / NAME
    shutil.copytree(Path(__file__).parent / "networks" / NAME, folder)
    make_video(folder / "code" / "video.mp4", "libx264", "yuv420p")
    make_video(folder / "code" / "png.mp4", "png", "rgb24")
    Image.new("1", (20_000, 20_000)).save(folder / "code" / "large.png")
    recipe = images.make_recipe(Network(folder, read_manifest(folder / "network.yaml")), "cpu", base_image)
    assert recipe.parent is not None
    log = folder.parent / "build.log"
    if not any(image.inputs == recipe.parent.inputs for image in built.ours(api)):
        build(recipe.parent, BuildOptions.of(builder="classic"), log=log)
    build(recipe, BuildOptions.of(builder="classic"), log=log)
    yield folder
    api.remove_image(recipe.tag, force=True)


def make_video(path: Path, codec: str, pixels: str) -> None:
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, pixels
        for _ in range(25):
            container.mux(picture.encode(av.VideoFrame(64, 48, pixels)))
        container.mux(picture.encode())


@pytest.fixture(params=["as whoever runs the tests", "as a plain user"])
def together(
    request: pytest.FixtureRequest,
    network: Path,
    portrait: Path,
    clip: Path,
    nobodys_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Together:
    """Return a function that does several things in a folder with a secret, and returns what came of each."""
    plain = request.param == "as a plain user"
    if plain and os.geteuid() != 0:
        pytest.skip("the tests are run by a plain user already")
    top = nobodys_folder
    shutil.copytree(network, top / "networks" / NAME)
    shutil.copy(portrait, top / "face.png")
    shutil.copy(clip, top / "clip.wav")
    env = {"FACEORCH_NETWORKS": str(top / "networks"), "FACEORCH_HOME": str(top / "home"), "DOCKER_HOST": endpoint()}
    env["FACEORCH_JUDGE"] = "off"

    def here(what: str, names: list[str]) -> dict[str, dict[str, Any]]:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        (top / "key").write_text(SECRET)
        (top / "key").chmod(0o600)
        attempt = {"do": do, "convert": convert}[what]
        return {name: attempt(name, top) for name in names}

    def there(what: str, names: list[str]) -> dict[str, dict[str, Any]]:
        for path in (top / "networks").rglob("*"):
            os.chown(path, NOBODY, NOBODY)
        socket = Path(endpoint().removeprefix("unix://"))
        code = "from tests.engine.test_hostile_files import main; main()"
        asked = json.dumps([what, names, str(top)])
        done = run_plain(["-c", code], groups=[socket.stat().st_gid], stdin=asked, **env)
        assert done.returncode == 0, done.stderr[-3000:]
        return dict(zip(names, json.loads(done.stdout), strict=True))

    return there if plain else here


def test_a_runner_gets_at_nothing_through_what_it_leaves(together: Together) -> None:
    secret = [SECRET, "-rw-------", 1]
    for deed, found in together("do", list(DEEDS)).items():
        wanted = DEEDS[deed]
        if wanted is None:
            assert (deed, found["reason"]) == (deed, None)
            assert (deed, found["kept"], found["whole"]) == (deed, ["-rw-r--r--", 1], True)
        else:
            assert (found["reason"] or "").startswith(wanted), (deed, found)
            assert (deed, found["kept"]) == (deed, None)
        assert (deed, found["shown"], found["secret"]) == (deed, [], secret)
        assert (deed, found["controls"]) == (deed, [])
        assert (deed, found["left"]) == (
            deed,
            ["events.jsonl", "job.json", "log.txt", "telemetry.parquet", "timeline.json"],
        )
        for line in LOGGED.get(deed, []):
            assert line in found["log"], (deed, found["log"])


def test_a_pickle_gets_at_nothing_through_what_it_leaves(together: Together) -> None:
    secret = [SECRET, "-rw-------", 1]
    for code, found in together("convert", list(PICKLES)).items():
        assert PICKLES[code] in found["said"], (code, found["said"])
        taken = PICKLES[code] == "1 converted\n"
        assert (code, found["view"]) == (code, ["b.pth", "b.safetensors"] if taken else ["b.pth"])
        assert (code, found["modes"], found["left"], found["secret"]) == (code, ["-r--r--r--"], [], secret)
