"""Corruptions of every kind, on items drawn anew for each seed."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.corrupting import add_rows, assert_all_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.migration import Migration

ROUNDS = 10


@pytest.mark.soak
async def test_every_corruption_is_found_in_every_round(miyabi: Migration, tell: Callable[[str], None]) -> None:
    await add_rows(miyabi)
    await miyabi.copy()
    found = 0
    for _ in range(ROUNDS):
        seed = secrets.randbits(32)
        tell(f"seed {seed}")
        found += (await assert_all_found(miyabi, seed)).total()
    tell(f"{found:,} corruptions found")
