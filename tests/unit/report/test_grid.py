"""grid.mp4: every video in its place, with its label and the clip's sound; made once, and never from anything else."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from msgspec import structs

from faceorch import report
from faceorch.media.video import probe_video
from faceorch.record.folder import RunFolder
from faceorch.record.request import StandIn
from faceorch.report import grid
from tests.made_up import make_comparison


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=2, seconds=2.0, repeat=1)


def colour(path: Path, at: tuple[int, int], seconds: float = 1.0) -> tuple[int, ...]:
    with av.open(str(path)) as container:
        frame = next(frame for frame in container.decode(video=0) if (frame.time or 0) >= seconds)
        found = frame.to_image().getpixel(at)
        assert isinstance(found, tuple)
        return found


def test_it_is_a_video_like_any_other_as_long_as_the_clip_and_with_its_sound(run: RunFolder) -> None:
    assert grid.make_grid(run)
    info = probe_video(run.path / grid.NAME)
    assert (info.frames, info.fps, info.codec, info.pixel_format) == (50, 25, "h264", "yuv420p")
    assert info.audio_codec == "aac"
    layout = grid.plan(run.run, grid.shown_jobs(run.run))
    assert (info.width, info.height) == (layout.width, layout.height)
    with av.open(str(run.path / grid.NAME)) as container:
        loudest = max(abs(int(v)) for f in container.decode(audio=0) for v in 32767 * f.to_ndarray().ravel())
        assert loudest > 3000


def test_every_video_is_in_its_place(run: RunFolder) -> None:
    grid.make_grid(run)
    _, first, second = grid.plan(run.run, grid.shown_jobs(run.run)).tiles
    low = 380  # below the patterns that move
    reds = [colour(run.path / grid.NAME, (tile.left + 20, tile.top + low)) for tile in (first, second)]
    assert reds[0][0] > 200
    assert max(reds[0][1:]) < 60
    assert reds[1] != reds[0], "its hue is another"


@pytest.mark.parametrize(
    ("count", "columns", "portrait"),
    [(2, 3, True), (3, 2, True), (4, 2, False), (5, 3, True), (6, 3, False), (7, 3, True)],
)
def test_the_layout_is_nearly_square_and_the_portrait_fills_a_gap(
    run: RunFolder, count: int, columns: int, portrait: bool
) -> None:
    layout = grid.plan(run.run, [run.run.jobs[0]] * count)
    assert len({tile.left for tile in layout.tiles}) == columns
    assert layout.portrait is portrait
    assert len(layout.tiles) == count + portrait
    assert layout.width % 2 == layout.height % 2 == 0


def test_it_is_made_again_only_when_it_would_be_another(run: RunFolder) -> None:
    grid.make_grid(run)
    before = (run.path / grid.NAME).stat().st_ino
    assert grid.make_grid(run)
    assert (run.path / grid.NAME).stat().st_ino == before
    job = run.run.jobs[0]
    run.run.put(structs.replace(job, title="Another"))
    assert not grid.is_there(run)
    grid.make_grid(run)
    assert (run.path / grid.NAME).stat().st_ino != before
    assert not list(run.path.glob(f".{grid.NAME}*"))


@pytest.mark.parametrize("what", ["gone", "link", "garbage"])
def test_a_video_that_is_not_one_leaves_its_tile_black(run: RunFolder, tmp_path: Path, what: str) -> None:
    path = run.path / "birch.mp4"
    path.unlink()
    if what == "link":
        path.symlink_to(run.path / "alder.mp4")
    elif what == "garbage":
        path.write_bytes(b"\0" * 5000)
    assert grid.make_grid(run)
    _, first, second = grid.plan(run.run, grid.shown_jobs(run.run)).tiles
    assert max(colour(run.path / grid.NAME, (second.left + 200, second.top + 200))) < 20
    assert max(colour(run.path / grid.NAME, (first.left + 20, first.top + 380))) > 200


def test_what_has_its_name_already_is_replaced_and_not_written_through(run: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (run.path / grid.NAME).symlink_to(other)
    assert grid.make_grid(run)
    assert other.read_bytes() == b"mine"
    assert not (run.path / grid.NAME).is_symlink()


def test_one_video_has_no_grid_and_stand_in_weights_have_none(run: RunFolder, tmp_path: Path) -> None:
    one = make_comparison(tmp_path / "one", count=1, seconds=1.0, repeat=1)
    assert not grid.make_grid(one)
    run.run.request = structs.replace(run.run.request, stand_in=StandIn(size="tiny"))
    assert not grid.make_grid(run)


def test_a_long_clip_is_shown_in_part_and_says_so(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "LONGEST_S", 1.0)
    grid.make_grid(run)
    assert probe_video(run.path / grid.NAME).frames == 25
    assert "its first 1 s" in grid.plan(run.run, grid.shown_jobs(run.run)).foot


def test_a_grid_that_cannot_be_made_is_said_on_the_page(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise av.FFmpegError(1, "no encoder")

    monkeypatch.setattr(grid, "_write", fail)
    page = report.write_report(run).read_text("utf-8")
    assert "grid.mp4 could not be made: " in page
    assert "All in one video" not in page
    assert not list(run.path.glob("*grid.mp4*"))


def test_words_that_are_too_long_are_cut() -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(15)
    assert grid.fitting("short", font, 200) == "short"
    cut = grid.fitting("a very long title " * 10, font, 200)
    assert cut.endswith("…")
    assert font.getlength(cut) <= 200


def test_letters_that_the_font_lacks_are_never_boxes() -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(15)
    assert grid.fitting("Größe · Łódź “漢” 😀…", font, 400) == "Gro?e · ?odz “?” ?…"
