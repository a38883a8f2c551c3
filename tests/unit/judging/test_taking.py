"""What a judge leaves is checked before it is taken: its findings, its series, its words."""

from __future__ import annotations

import pytest

from tests.conftest import STUB_JUDGE
from tests.unit.judging.conftest import Compare, leaving, reason


@pytest.mark.parametrize(
    ("deed", "note"),
    [
        ("made.unlink()", "grey.json does not exist"),
        ("made.unlink(); made.symlink_to('/etc/passwd')", "grey.json is a link"),
        ("made.write_bytes(b' ' * (5 << 20))", "grey.json has 5242880 bytes, 4194304 at most are taken"),
        ("made.write_text('{}')", "grey.json is not a judgement: Object missing required field `judge`"),
        ("made.write_text('[' * 100000)", "grey.json is not a judgement: "),
        ("made.write_text(made.read_text().replace('4.5', 'NaN'))", "grey.json is not a judgement: "),
        ("made.write_text(made.read_text().replace('4.5', '1e999'))", "grey.json is not a judgement: "),
        ("made.write_text(made.read_text().replace('4.5', '1e30'))", "grey.json is not a judgement: it holds a number"),
        ("made.write_text(made.read_text().replace('0.25', '0'))", "grey.json is not a judgement: Expected `float` >"),
        ("made.write_text(made.read_text().replace('frames', 'frame'))", "grey.json is not a judgement: "),
        ("made.write_text(json.dumps({'error': 'it is not a \\x1b[31mvideo'}))", "it is not a video"),
    ],
)
def test_what_is_not_a_judgement_is_not_taken(compare: Compare, deed: str, note: str) -> None:
    folder = compare(leaving(deed))
    assert reason(folder) == ""
    assert folder.run.jobs[0].judgement is None
    assert folder.run.judging is not None
    (said,) = folder.run.judging.notes
    assert said.startswith(f"Grey: not judged: {note}")


@pytest.mark.parametrize(
    ("deed", "kept"),
    [
        ("series.unlink(); series.symlink_to('/etc/passwd')", False),
        ("os.truncate(series, 1 << 40)", False),
        ("(out.parent.parent / 'grey' / 'judgement.parquet').symlink_to('/etc/passwd')", True),
    ],
)
def test_series_are_taken_as_files_alone(compare: Compare, deed: str, kept: bool) -> None:
    folder = compare(leaving(deed))
    (job,) = folder.run.jobs
    assert job.judgement is not None
    assert job.judgement.series == ("grey/judgement.parquet" if kept else None)
    place = folder.path / "grey/judgement.parquet"
    assert not place.is_symlink()
    assert place.is_file() == kept
    assert folder.run.judging is not None
    assert len(folder.run.judging.notes) == (0 if kept else 1)


def test_terminal_sequences_in_words_are_gone(compare: Compare) -> None:
    folder = compare(STUB_JUDGE.replace("a stand-in judged it", "a \\x1b[31mred\\x07 note"))
    (job,) = folder.run.jobs
    assert job.judgement is not None
    assert job.judgement.notes == ["a red\\x07 note"]
