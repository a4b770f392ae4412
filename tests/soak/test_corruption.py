"""Corruptions of every kind, on items drawn anew for each seed."""

from __future__ import annotations

import secrets
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.corrupting import add_rows, assert_all_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.migration import Migration

ROUNDS = 10
CORRUPTIONS = 1_000


@pytest.mark.soak
async def test_every_corruption_is_found_in_every_round(miyabi: Migration, tell: Callable[[str], None]) -> None:
    await add_rows(miyabi)
    await miyabi.copy()
    found: Counter[str] = Counter()
    for _ in range(ROUNDS):
        seed = secrets.randbits(32)
        tell(f"seed {seed}")
        found += await assert_all_found(miyabi, seed)
    tell("\n".join(f"{count:>6,}  {kind}" for kind, count in found.most_common()))
    tell(f"{found.total():,} corruptions of {len(found)} kinds, all found and named")
    assert found.total() >= CORRUPTIONS
