"""The forms of a report: a folder, one file, an archive; small, and without this machine's paths."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from jinja2 import UndefinedError
from msgspec import structs
from PIL import Image

from faceorch import report
from faceorch.cli.main import cli
from faceorch.errors import OutputError
from faceorch.record.folder import RunFolder
from faceorch.report import FILES, looking, write_report, write_single_file, write_zip
from tests.made_up import make_comparison


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = make_comparison(tmp_path / "run", count=2, seconds=0.5)
    run.run.put(structs.replace(run.run.jobs[0], notes=["its weights are in /home/somebody/weights"]))
    run.save()
    return run


def test_the_command_makes_every_form(run: RunFolder) -> None:
    result = CliRunner().invoke(cli, ["report", str(run.path), "--single-file", "--zip"])
    assert result.exit_code == 0, result.output
    names = ["report.html", "run.html", "run.zip"]
    assert result.output.split() == [str(run.path / name) for name in names]
    for name in (*FILES, "grid.mp4", "alder.jpg", *names):
        assert (run.path / name).is_file(), name


def test_nothing_that_is_shared_names_a_folder_of_this_machine(run: RunFolder) -> None:
    write_report(run)
    texts = {name: (run.path / name).read_text("utf-8") for name in FILES if name != "report.md"}
    texts["one file"] = write_single_file(run, run.path / "one.html").read_text("utf-8")
    with zipfile.ZipFile(write_zip(run, run.path / "run.zip")) as archive:
        texts |= {
            f"zip: {n}": archive.read(n).decode() for n in archive.namelist() if n.endswith(("html", "md", "json"))
        }
    for name, text in texts.items():
        assert "somebody" not in text, name
        assert str(run.path) not in text, name
    assert "…/weights" in texts["zip: run/report.md"].replace("\\", "")


def test_the_archive_holds_all_that_its_page_links_to(run: RunFolder) -> None:
    write_report(run)
    with zipfile.ZipFile(write_zip(run, run.path / "run.zip")) as archive:
        names = archive.namelist()
        page = archive.read("run/report.html").decode()
    linked = set(re.findall(r'(?:src|href)="([^"#:]+)"', page))
    assert linked == {"alder.mp4", "birch.mp4", "alder.jpg", "birch.jpg", "grid.mp4"}
    assert {f"run/{name}" for name in linked} < set(names)
    assert {"run/inputs/portrait.png", "run/inputs/clip.wav"} < set(names), "the command on the page asks for them"
    assert not [name for name in names if "run.json" in name or "log" in name]


def test_one_file_holds_each_video_once(run: RunFolder) -> None:
    page = write_single_file(run, run.path / "one.html").read_text("utf-8")
    assert page.count("data:video/mp4;base64,") == 2
    assert set(re.findall(r'(?:src|href)="([^":]+)"', page)) <= {"#"} | set(re.findall(r'href="(#[^"]+)"', page))


def test_videos_that_are_too_large_for_one_file_are_an_error_that_says_what_to_do(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "EMBED_BYTES", 1000)
    with pytest.raises(OutputError) as caught:
        write_single_file(run, run.path / "one.html")
    assert caught.value.remedy == "use --zip instead"


def test_a_page_of_small_videos_is_small_whatever_the_portrait_was(tmp_path: Path) -> None:
    noise = Image.effect_noise((4096, 3072), 60).convert("RGB")
    run = make_comparison(tmp_path / "run", count=2, seconds=0.5, portrait=noise)
    assert (run.path / "inputs" / "portrait.png").stat().st_size > 10_000_000
    assert write_report(run, with_grid=False).stat().st_size < 2_000_000
    assert write_single_file(run, run.path / "one.html").stat().st_size < 3_000_000


def test_a_word_that_is_not_there_is_an_error_and_no_empty_place() -> None:
    environment = report._environment()
    with pytest.raises(UndefinedError):
        environment.from_string("{{ nothing }}").render()
    assert environment.from_string("{{ text }}").render(text="<b>") == "&lt;b&gt;"


def test_a_file_with_the_archives_name_is_replaced_and_not_written_through(run: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (run.path / "run.zip").symlink_to(other)
    write_zip(run, run.path / "run.zip")
    assert other.read_bytes() == b"mine"
    assert zipfile.is_zipfile(io.BytesIO((run.path / "run.zip").read_bytes()))


def test_a_record_that_contradicts_itself_is_shown_all_the_same(run: RunFolder) -> None:
    alder, birch, fir, gum = run.run.jobs
    run.run.jobs = [structs.replace(alder, video=None), birch, *(structs.replace(j, reason=None) for j in (fir, gum))]
    page = write_report(run).read_text("utf-8")
    assert "1 of 4 networks made a video" in page
    assert not (run.path / "grid.mp4").exists()
