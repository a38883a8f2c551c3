"""What several repetitions say together, and what they cannot say."""

from __future__ import annotations

import pytest

from faceorch.record.run import Measured, Spread
from faceorch.record.spread import Ranking, rank, spreads
from tests.unit.conftest import repetition


def spread(minimum: float, median: float, maximum: float, count: int = 5) -> Spread:
    return Spread(unit="s", count=count, min=minimum, median=median, max=maximum)


class TestSpreads:
    def test_minimum_median_maximum_and_spread(self) -> None:
        found = spreads([repetition(1, 5.0), repetition(2, 4.0), repetition(3, 6.0)])["animate_s"]
        assert (found.min, found.median, found.max, found.count) == (4.0, 5.0, 6.0, 3)
        assert found.spread == pytest.approx(0.4)

    def test_figures_of_different_methods_are_not_mixed(self) -> None:
        told = Measured(value=900, unit="bytes", method="per_process")
        torch = Measured(value=700, unit="bytes", method="allocator")
        assert "vram_peak_bytes" not in spreads(
            [repetition(1, 5.0, vram_peak_bytes=told), repetition(2, 5.0, vram_peak_bytes=torch)]
        )
        assert "vram_peak_bytes" in spreads(
            [repetition(1, 5.0, vram_peak_bytes=told), repetition(2, 5.0, vram_peak_bytes=told)]
        )

    @pytest.mark.parametrize(
        ("seconds", "outliers"),
        [
            ([5.0, 5.1, 5.05, 4.95, 9.0], [5]),
            ([5.0, 5.0, 5.0, 5.0, 5.3], []),  # under a tenth: not worth a word
            ([5.0, 6.0, 7.0, 5.5, 6.5], []),  # they all differ
            ([5.0, 9.0], []),  # of two nobody can tell which
        ],
    )
    def test_an_outlier_is_found(self, seconds: list[float], outliers: list[int]) -> None:
        counted = [repetition(number, s) for number, s in enumerate(seconds, start=1)]
        assert spreads(counted)["animate_s"].outliers == outliers


class TestRanking:
    def test_ranges_that_are_apart_are_ranked(self) -> None:
        assert rank({"B": spread(7, 8, 9), "A": spread(1, 2, 3)}) == Ranking((("A",), ("B",)))

    def test_ranges_that_overlap_are_not(self) -> None:
        found = {"A": spread(1, 2, 5), "B": spread(4, 6, 7), "C": spread(8, 9, 10)}
        assert rank(found) == Ranking((("A", "B"), ("C",)))

    def test_a_chain_of_overlaps_is_one_group(self) -> None:
        found = {"A": spread(1, 2, 4), "B": spread(3, 5, 7), "C": spread(6, 8, 9)}
        assert rank(found).groups == (("A", "B", "C"),)

    def test_few_repetitions_are_not_ranked(self) -> None:
        found = {"A": spread(1, 2, 3, count=2), "B": spread(7, 8, 9)}
        assert rank(found) == Ranking((), "A ran fewer than 3 times (--repeat 3 or more)")

    def test_one_network_has_nothing_to_be_compared_with(self) -> None:
        assert rank({"A": spread(1, 2, 3)}) == Ranking((), "there is nothing to compare it with")
