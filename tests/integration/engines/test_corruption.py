"""Every corruption of the target is found and named, on items of all entities, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.corrupting import add_rows, assert_all_found
from tests.support.corruption import SET_KINDS
from tests.support.shapes import ROWS

if TYPE_CHECKING:
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered


async def test_every_corruption_is_found_and_named(miyabi: Migration) -> None:
    await add_rows(miyabi)
    await miyabi.copy()
    made = await assert_all_found(miyabi, seed=1)
    assert made.total() >= 200


async def test_what_is_wrong_with_sets_is_found_and_named(shapes: Migration) -> None:
    async with shapes.session() as session:
        await session.execute(ROWS)
    await shapes.copy()
    made = await assert_all_found(shapes, 1, SET_KINDS)
    assert made.total() >= len(SET_KINDS)
