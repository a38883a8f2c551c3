"""How it was done: licences in plain words, parity, logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from faceorch.record.folder import RunFolder
from faceorch.record.run import About, Parity, WeightFile
from faceorch.report.how import how, licences, log_tail, parity
from tests.made_up import HASH, make_comparison

FREE, CLOSED, UNCLEAR = True, False, None


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return make_comparison(tmp_path / "run", count=1, seconds=0.2, repeat=1)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([], []),
        ([FREE], ["None of the weights that it used is closed to commercial use."]),
        ([FREE, CLOSED], ["Not for commercial use, because of: w1 (L)."]),
        ([UNCLEAR], ["Whether commercial use is allowed is unclear for: w0 (L)."]),
    ],
)
def test_licences_in_plain_words(run: RunFolder, weights: list[bool | None], said: list[str]) -> None:
    files = [WeightFile(path=f"w{n}", bytes=1, sha256=HASH, licence="L", commercial=c) for n, c in enumerate(weights)]
    job = structs.replace(run.run.jobs[0], weights=files, about=None)
    assert licences(job) == said
    job = structs.replace(job, about=About(approach="", licence="MIT"))
    assert licences(job) == ["As its folder says: MIT.", *said]


@pytest.mark.parametrize(
    ("equal", "said"),
    [
        (30, "all of 30 frames are byte for byte those of upstream's code (on cpu)"),
        (2, "2 of 30 frames are byte for byte those of upstream's code, at most 3 of 255 apart (on cpu)"),
    ],
)
def test_parity_in_a_sentence(equal: int, said: str) -> None:
    assert parity(Parity(device="cpu", frames=30, equal=equal, worst=0 if equal == 30 else 3)) == said


def test_a_log_is_its_end_and_safe_to_show(run: RunFolder) -> None:
    job = run.run.jobs[0]
    log = run.path / "alder" / "log.txt"
    log.write_bytes(b"x" * 100_000 + b"\nlast \x1b[31mred\x1b[0m \xff\n")
    assert log_tail(run.path, job) == ["last red \ufffd"]
    log.unlink()
    log.symlink_to(run.path / "run.json")
    assert log_tail(run.path, structs.replace(job, log_tail=["kept"])) == ["kept"]


def test_what_had_no_environment_has_no_provenance(run: RunFolder) -> None:
    assert [made.job.network for made in how(run.path, run.run.jobs)] == ["alder"]
