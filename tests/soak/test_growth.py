"""Ten million rows are copied and verified in the memory of one million; some 25 GB of temporary files are needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from bench import growth

if TYPE_CHECKING:
    from collections.abc import Callable

ONE_MILLION = 1_000_000
MEGABYTE = 2**20
MOST = 200 * MEGABYTE
LITTLE_MORE = 25 * MEGABYTE


@pytest.mark.soak
def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch, tell: Callable[[str], None]) -> None:
    for name, value in growth.environment(os.environ).items():
        monkeypatch.setenv(name, value)
    seen = {}
    with growth.Growth() as source:
        for rows in (ONE_MILLION, 10 * ONE_MILLION):
            source.to(rows)
            for what, run in source.runs(workers=1):
                tell(growth.line(what, run, workers=1))
                assert run.rows == rows
                seen[what, rows] = run
    for what in ("copy", "verify"):
        small, large = seen[what, ONE_MILLION], seen[what, 10 * ONE_MILLION]
        assert large.items == 10 * small.items
        assert large.resident <= small.resident + LITTLE_MORE
        assert large.resident <= MOST
