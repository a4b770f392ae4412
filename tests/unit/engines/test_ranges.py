"""How finely tables are cut: so that every worker has a share to the end, and not for its own sake."""

from __future__ import annotations

import pytest

from migrator.engines.ranges import HANDS, parts, segments


@pytest.mark.parametrize("workers", [1, 2, 8, 128])
@pytest.mark.parametrize("rows", [0, 1, 999, 100_000, 10_000_000, 10**12])
def test_a_table_has_at_least_one_range_and_segment(rows: int, workers: int) -> None:
    assert parts(rows, rows, workers) >= 1
    assert segments(rows, workers) >= HANDS


def test_a_single_worker_has_ranges_of_twenty_thousand_rows() -> None:
    assert [parts(rows, 10**6, 1) for rows in (20_000, 20_001, 10**6)] == [1, 2, 50]
    assert segments(10**9, 1) == HANDS


@pytest.mark.parametrize("workers", [2, 8, 64])
def test_each_hand_has_many_ranges_of_a_large_table(workers: int) -> None:
    hands = workers * HANDS
    for rows in (10**6 * workers, 10**10):
        assert parts(rows, rows, workers) >= 16 * hands
        assert segments(rows, workers) == 16 * hands


def test_small_tables_beside_a_large_one_are_not_cut() -> None:
    assert parts(7_000, 1_000_000, 2) == 1
    assert parts(3_000, 3_000, 8) == 2
