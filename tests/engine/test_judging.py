"""The judge in its sandbox: it sees its inputs and nothing else, and what it leaves is taken as files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from faceorch.comparison import bring, judge
from faceorch.images import built
from faceorch.images import recipe as images
from faceorch.images.build import build
from faceorch.images.options import BuildOptions
from faceorch.record.folder import RunFolder
from faceorch.record.request import Request
from tests.conftest import STUB_JUDGE, MakeNetwork, ignore
from tests.films import write_film

if TYPE_CHECKING:
    from docker import APIClient

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY runner/faceorch_runner /opt/faceorch/runner/faceorch_runner
COPY standin/code /opt/faceorch/network
USER 65534:65534
"""
# Says in its notes what it can reach, and leaves links for the videos that are called so.
REACHING = """
import os, socket
from pathlib import Path

def tried(what):
    try:
        return str(what())
    except OSError as error:
        return type(error).__name__

""" + STUB_JUDGE.replace(
    '["a stand-in judged it"]',
    """[
        tried(lambda: socket.create_connection(("192.0.2.1", 9), 1)),
        tried(lambda: portrait.write_bytes(b"")),
        tried(lambda: Path("/opt/mine").write_bytes(b"")),
        str(sorted(path.name for path in video.parent.iterdir())),
    ]""",
).replace(
    'series.write_bytes(b"PAR1 made up PAR1")',
    """series.write_bytes(b"PAR1 made up PAR1")
        if video.stem == "linked":
            series.unlink()
            series.symlink_to("/etc/passwd")""",
)


@pytest.fixture
def image(api: APIClient, base_image: str, make_judge: MakeNetwork, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The judge's image, built as `faceorch build` does."""
    network = make_judge(REACHING, runtimes=["docker"])
    (network.folder / "Dockerfile").write_text(DOCKERFILE, "utf-8")
    recipe = images.make_recipe(network, "cpu", base_image)
    assert recipe.parent is not None
    log = network.folder.parent / "build.log"
    if not any(image.inputs == recipe.parent.inputs for image in built.ours(api)):
        build(recipe.parent, BuildOptions.of(builder="classic"), log=log)
    build(recipe, BuildOptions.of(builder="classic"), log=log)
    yield recipe.tag
    api.remove_image(recipe.tag, force=True)


def test_a_judge_reaches_its_inputs_alone(image: str, portrait: Path, clip: Path, tmp_path: Path) -> None:
    videos = {name: str(write_film(tmp_path / f"{name}-film.mp4")) for name in ("plain", "linked")}
    request = Request(portrait=str(portrait), clip=str(clip), videos=videos, runtime="docker", timeout_s=300.0)
    folder = RunFolder.load(bring(request, tmp_path / "results", ignore).path)
    judging = folder.run.judging
    assert judging is not None
    assert judging.reason is None
    assert judging.self_check == "passed"
    assert judging.environment is not None
    assert (judging.environment.runtime, judging.environment.name) == ("docker", image)
    assert judging.notes == ["the series of linked are not kept: linked.parquet is a link"]
    for job in folder.run.jobs:
        assert job.judgement is not None
        assert job.judgement.notes == ["OSError", "OSError", "OSError", "['linked.mp4', 'plain.mp4']"]
    plain = folder.run.job("plain").judgement
    assert plain is not None
    assert (folder.path / (plain.series or "")).read_bytes() == b"PAR1 made up PAR1"
    asked = json.loads((folder.path / "standin/job.json").read_text("utf-8"))
    assert [video["video"] for video in asked["videos"]] == ["/job/videos/plain.mp4", "/job/videos/linked.mp4"]

    again = judge(folder.path, ignore)
    assert again.run.job("plain").judgement is not None
    left = {path.name for path in (folder.path / "standin").iterdir()}
    assert left == {"events.jsonl", "job.json", "log.txt"}
