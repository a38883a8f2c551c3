"""Where the page has the boxes of faces, eyes and mouths from, and what it says of that."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest
from msgspec import structs

from faceorch.media.video import still
from faceorch.record.folder import RunFolder
from faceorch.record.judgement import Box
from faceorch.report import looking as module
from faceorch.report.looking import Looking, look
from tests.made_up import make_comparison

FACE = Box(left=0.1, top=0.1, width=0.8, height=0.8)
MOUTH = Box(left=0.4, top=0.7, width=0.25, height=0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_comparison(
        tmp_path_factory.mktemp("made") / "run", count=3, seconds=1.0, repeat=1, judged=True, failures=False
    )


def looking(made: RunFolder, *told: tuple[dict[str, Box], dict[str, Box]], judged: str = "") -> Looking:
    """Return what there is to look at when the networks told (video's, portrait's) boxes, and only one is `judged`."""
    jobs = []
    for job, (boxes, portrait_boxes) in zip(made.run.jobs, told, strict=True):
        assert job.video is not None
        video = structs.replace(job.video, boxes=boxes, portrait_boxes=portrait_boxes)
        judgement = job.judgement if job.network == judged else None
        jobs.append(structs.replace(job, video=video, judgement=judgement))
    return look(made.path, made.run, jobs, embed=False)


def test_nobody_told(made: RunFolder) -> None:
    found = looking(made, *[({}, {})] * 3)
    assert [shown.boxes.places for shown in found.videos] == [[]] * 3
    assert found.portrait_boxes.places == []
    assert found.faces == (
        "No buttons for face, eyes and mouth: no network told where they are, and no judge found them."
    )


def test_the_judges_word_comes_first_then_the_networks_then_the_portraits(made: RunFolder) -> None:
    found = looking(made, ({"mouth": FACE}, {}), ({"mouth": MOUTH}, {"face": FACE}), ({}, {}), judged="alder")
    first, second, third = (shown.boxes for shown in found.videos)
    assert dict(first.places)["mouth"] == "0.4000,0.6000,0.2000,0.1200"
    assert second.places == [("mouth", "0.4000,0.7000,0.2500,0.1000")]
    assert third.places == found.portrait_boxes.places == [("face", "0.1000,0.1000,0.8000,0.8000")]
    assert found.faces == (
        "Where face, eyes and mouth are: found by the judge (Alder); told by the network (Birch); "
        "taken from the portrait (Cedar)."
    )


def test_a_video_of_other_proportions_is_not_taken_for_the_portrait(made: RunFolder) -> None:
    run = made.run
    portrait = run.inputs.portrait
    run.inputs = structs.replace(run.inputs, portrait=structs.replace(portrait, height=portrait.height // 2))
    try:
        found = looking(made, *[({}, {"face": FACE, "mouth": MOUTH})] * 3)
    finally:
        run.inputs = structs.replace(run.inputs, portrait=portrait)
    assert [shown.boxes.places for shown in found.videos] == [[]] * 3
    assert len(found.portrait_boxes.places) == 2


def test_one_word_for_all(made: RunFolder) -> None:
    assert looking(made, *[({"mouth": MOUTH}, {})] * 3).faces == (
        "Where face, eyes and mouth are: told by the network."
    )


def test_a_video_of_which_nobody_knows_stays_whole(made: RunFolder) -> None:
    found = looking(made, ({"mouth": MOUTH}, {}), ({}, {}), ({"nose": MOUTH}, {}))
    assert found.faces == (
        "Where face, eyes and mouth are: told by the network (Alder); "
        "not known, and the whole picture stays (Birch, Cedar)."
    )


def test_a_record_keeps_what_the_networks_told(made: RunFolder, tmp_path: Path) -> None:
    job = made.run.jobs[0]
    assert job.video is not None
    made.run.put(structs.replace(job, video=structs.replace(job.video, boxes={"mouth": MOUTH})))
    try:
        made.save()
        kept = RunFolder.load(made.path).run.jobs[0].video
    finally:
        made.run.put(job)
        made.save()
    assert kept is not None
    assert (kept.boxes, kept.portrait_boxes) == ({"mouth": MOUTH}, {})


def test_a_video_is_decoded_once_however_often_its_pages_are_written(
    made: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[float] = []

    def counted(file: BinaryIO, *, at_s: float, side: int) -> bytes | None:
        decoded.append(at_s)
        return still(file, at_s=at_s, side=side)

    monkeypatch.setattr(module, "still", counted)
    module._poster.cache_clear()
    first, second = (looking(made, *[({}, {})] * 3) for _ in range(2))
    assert len(decoded) == 3
    assert None not in {shown.poster for shown in first.videos}
    assert [shown.poster for shown in first.videos] == [shown.poster for shown in second.videos]
