"""Versions that an application gives: they grow, whatever its clock says."""

from __future__ import annotations

import time

from migrator.dynamodb.versions import next_version

MOMENT = 1_000
"""How many versions a microsecond has."""


def test_versions_are_of_the_clock_and_above_what_was_read() -> None:
    before = time.time_ns() // 1_000 * MOMENT
    given = [next_version(0) for _ in range(100)]
    after = (time.time_ns() // 1_000 + 1) * MOMENT
    assert all(before <= version < after for version in given)
    assert len(set(given)) > 90
    ahead = after + 3_600 * 1_000_000 * MOMENT
    grown = [next_version(ahead) for _ in range(100)]
    assert min(grown) > ahead, "of somebody whose clock is an hour ahead"
    assert len(set(grown)) > 90
    assert max(grown) < 1 << 63
