"""Votes: what they say together, with its interval; and files that are no votes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import structs

from faceorch.cli.main import cli
from faceorch.errors import InputError
from faceorch.record.folder import RunFolder
from faceorch.report import votes, write_report
from faceorch.report.votes import Ballot, Vote
from tests.made_up import make_comparison

TITLES = {"a": "A", "b": "B", "c": "C"}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=3, seconds=0.2, repeat=1)


def ballot(on: RunFolder, /, *cast: tuple[str, str, str], **more: Any) -> bytes:
    videos = {job.network: job.video.sha256 for job in on.run.jobs if job.video}
    cast_votes = [{"left": left, "right": right, "winner": winner} for left, right, winner in cast]
    return json.dumps({"faceorch_votes": 1, "run": on.run.id, "videos": videos, "votes": cast_votes} | more).encode()


def made(*cast: tuple[str, str, str]) -> Ballot:
    return Ballot(faceorch_votes=1, run="r", videos={}, votes=[Vote(*vote) for vote in cast])  # type: ignore[arg-type]


def test_who_wins_more_against_the_strong_stands_higher() -> None:
    cast = [("a", "b", "left")] * 8 + [("b", "a", "left")] * 2 + [("b", "c", "left")] * 8 + [("c", "b", "left")] * 2
    found = votes.places([made(*cast)], TITLES)
    assert [place.network for place in found] == ["a", "b", "c"]
    assert all(place.low <= place.share <= place.high for place in found)
    assert sum(place.share for place in found) == pytest.approx(1.5)
    assert found[1].share == pytest.approx(0.5, abs=0.01)
    assert [place.seen for place in found] == [10, 20, 10]


def test_ties_leave_everything_open() -> None:
    found = votes.places([made(*[("a", "b", "tie")] * 20)], TITLES)
    assert [place.share for place in found] == pytest.approx([0.5, 0.5])
    assert not votes.Ranking(found, 1, 20, []).clear


def test_more_votes_make_narrower_intervals_and_a_clear_first() -> None:
    few, many = (votes.places([made(*([("a", "b", "left")] * 3 + [("a", "b", "right")]) * n)], TITLES) for n in (1, 20))
    assert many[0].high - many[0].low < few[0].high - few[0].low
    assert votes.Ranking(many, 1, 80, []).clear
    assert not votes.Ranking(few, 1, 4, []).clear


def test_the_votes_of_one_person_hang_together() -> None:
    """Ten people with one opinion each, held 20 times: no more certain than ten votes."""
    people = [made(*[("a", "b", "left" if n < 6 else "right")] * 20) for n in range(10)]
    whole = votes.places(people, TITLES)[0]
    single = votes.places([made(*[vote for one in people for vote in _cast(one)])], TITLES)[0]
    assert whole.high - whole.low > 2 * (single.high - single.low)


def _cast(one: Ballot) -> list[tuple[str, str, str]]:
    return [(vote.left, vote.right, vote.winner) for vote in one.votes]


def test_the_same_votes_give_the_same_figures() -> None:
    cast = made(("a", "b", "left"), ("b", "c", "tie"))
    assert votes.places([cast], TITLES) == votes.places([cast], TITLES)


def test_kept_votes_are_in_every_report_and_count_once(run: RunFolder, tmp_path: Path) -> None:
    file, copy = tmp_path / "anna.json", tmp_path / "again.json"
    for path in (file, copy):
        path.write_bytes(ballot(run, *[("alder", "birch", "left")] * 20))
    votes.keep(run, [file, copy])
    votes.keep(run, [file])
    page = write_report(run, with_grid=False).read_text("utf-8")
    assert "20 votes in 1 file, given without names. Alder is preferred beyond doubt." in page


def test_the_command_takes_many_files_and_one_run(run: RunFolder, tmp_path: Path) -> None:
    files = [tmp_path / "anna.json", tmp_path / "ben.json"]
    for number, path in enumerate(files, start=1):
        path.write_bytes(ballot(run, *[("alder", "birch", "left")] * number))
    result = CliRunner().invoke(cli, ["report", str(run.path), "--votes", *map(str, files)])
    assert result.exit_code == 0, result.output
    assert "3 votes in 2 files" in (run.path / "report.html").read_text("utf-8")
    result = CliRunner().invoke(cli, ["report", str(run.path), str(tmp_path)])
    assert result.exit_code == 2
    assert "one run at a time" in result.output


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"run": "another"}, "they are about run 'another'"),
        ({"faceorch_votes": 2}, "Invalid enum value 2"),
        ({"videos": {}}, "the video of 'alder' is another one by now"),
        ({"votes": [{"left": "alder", "right": "nobody", "winner": "left"}]}, "'nobody' has no video in this run"),
        ({"votes": [{"left": "alder", "right": "alder", "winner": "left"}]}, "'alder' is compared with itself"),
        ({"votes": [{"left": "alder", "right": "birch", "winner": "me"}]}, "Invalid enum value 'me'"),
        ({"votes": [{"left": "alder", "right": "birch", "winner": "tie"}] * 3000}, "Expected `array` of length"),
        ({"extra": 1}, "unknown field"),
    ],
)
def test_what_is_no_vote_on_this_run_is_refused(run: RunFolder, tmp_path: Path, more: dict[str, Any], why: str) -> None:
    path = tmp_path / "v.json"
    path.write_bytes(ballot(run, ("alder", "birch", "left"), **more))
    with pytest.raises(InputError, match=r"v\.json holds no votes on this run: ") as caught:
        votes.keep(run, [path])
    assert why in caught.value.message
    assert not (run.path / votes.FOLDER).exists()


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"null", b"x" * (2**20 + 1)])
def test_a_file_of_garbage_is_refused(run: RunFolder, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "v.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match="holds no votes"):
        votes.keep(run, [path])


def test_what_was_put_into_the_folder_by_others_is_checked_too(run: RunFolder) -> None:
    folder = run.path / votes.FOLDER
    folder.mkdir()
    (folder / "link.json").symlink_to(run.path / "run.json")
    (folder / "bad.json").write_bytes(b"{}")
    (folder / "good.json").write_bytes(ballot(run, ("alder", "birch", "left")))
    found = votes.ranking(run)
    assert found is not None
    assert (found.files, found.votes, len(found.refused)) == (1, 1, 2)


def test_votes_on_a_video_that_was_made_anew_do_not_count(run: RunFolder) -> None:
    (run.path / votes.FOLDER).mkdir()
    (run.path / votes.FOLDER / "v.json").write_bytes(ballot(run, ("alder", "birch", "left")))
    job = run.run.jobs[0]
    assert job.video is not None
    run.run.put(structs.replace(job, video=structs.replace(job.video, sha256="1" * 64)))
    found = votes.ranking(run)
    assert found is not None
    assert found.places == []
    assert "another one by now" in found.refused[0]


def test_a_run_without_votes_says_nothing_of_them(run: RunFolder) -> None:
    assert votes.ranking(run) is None
    assert "What people prefer" not in write_report(run, with_grid=False).read_text("utf-8")
