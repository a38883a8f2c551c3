"""What is generated from the code is what the code says, links lead somewhere, and nothing is missing in the lists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from faceorch.record.kinds import OutcomeKind
from faceorch.record.request import Request
from faceorch.record.run import Job, Run
from tests.unit.test_floors import FLOOR, HOUSE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "assets").glob("*.md")]
VARIABLE = re.compile(r"_?FACEORCH_[A-Z0-9_]*[A-Z0-9]")


def test_the_generated_pages_are_in_step() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def links(page: Path) -> list[tuple[str, str]]:
    """Return (file, heading) of every link of a page that leads to a file of ours."""
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    return [
        (target.partition("#")[0], target.partition("#")[2])
        for target in found
        if not target.startswith(("http:", "https:", "mailto:"))
    ]


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for file, heading in links(page):
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name} links to {file}"
        if heading:
            assert heading in anchors(target), f"{page.name} links to {file}#{heading}"


def test_the_index_leads_to_every_page() -> None:
    index = {(DOCS / file).resolve() for file, _ in links(DOCS / "README.md")}
    assert [str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md")) if page.resolve() not in index] == [
        "README.md"
    ]


def test_every_environment_variable_is_listed_and_no_other() -> None:
    folders = ("orchestrator", "docker", "tests", ".ci")
    read = {
        name
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and path != Path(__file__)
        for name in VARIABLE.findall(path.read_text("utf-8", errors="replace"))
    }
    listed = set(re.findall(rf"`({VARIABLE.pattern})`", (DOCS / "reference" / "environment.md").read_text("utf-8")))
    assert "FACEORCH_HOME" in read
    assert listed == read


def test_every_field_of_the_record_is_described() -> None:
    page = (DOCS / "reference" / "run-json.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_0-9]+)`", page))
    prices = {"price_per_kwh", "price_per_gpu_hour"}  # "the prices"
    fields = {*Run.__struct_fields__, *Job.__struct_fields__, *Request.__struct_fields__} - prices
    assert fields - named == set()
    runner = (DOCS / "reference" / "runner-contract.md").read_text("utf-8")
    assert {kind.value for kind in OutcomeKind} - named - set(re.findall(r"`([a-z_]+)`", runner)) == set()


def test_the_design_has_every_room_of_the_house() -> None:
    page = (DOCS / "contribute" / "design.md").read_text("utf-8")
    rooms = {f"{room}/" if (HOUSE / room).is_dir() else room for room in FLOOR}
    assert rooms - set(re.findall(r"`([a-z]+/?)`", page)) == set()
