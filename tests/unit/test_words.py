"""Sizes, durations, plurals and near misses as people read them."""

from __future__ import annotations

import pytest

from faceorch.words import duration, near, plural, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "n/a"),
        (0, "0.00 s"),
        (1.236, "1.24 s"),
        (42, "42.0 s"),
        (59.96, "1:00 min"),
        (61, "1:01 min"),
        (3599.6, "1:00 h"),
        (3700, "1:01 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "n/a"), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (10_200_000_000, "10.2 GB")],
)
def test_sizes_are_decimal_like_those_on_the_box_of_a_disk(count: float | None, text: str) -> None:
    assert size(count) == text


def test_plurals() -> None:
    assert [plural(1, "file"), plural(3, "file"), plural(2, "process", "processes")] == [
        "1 file",
        "3 files",
        "2 processes",
    ]


def test_the_nearest_word_is_proposed_when_one_is_near() -> None:
    assert near("timout", ["timeout", "seed"]) == " (did you mean 'timeout'?)"
    assert near("zzz", ["timeout", "seed"]) == ""
