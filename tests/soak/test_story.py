"""The story of an application whose data moves while it is written to, with a hundred kills."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.story import story
from tests.support.story_course import tell as run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stores import Database, DynamoDBStore

KILLS = 100
WRITES = 10_000


@pytest.mark.soak
async def test_nothing_is_lost_whatever_is_killed(
    database: Database, dynamodb: DynamoDBStore, tell: Callable[[str], None]
) -> None:
    seed = secrets.randbits(32)
    tell(f"seed {seed}")
    async with story(database, dynamodb, seed) as told:
        await run(told, kills=KILLS, writes=WRITES)
        tell(told.figures.show(told.ledger))
        assert told.figures.kills.total() == KILLS
        assert len(told.figures.kills) == 4
        assert await told.wrong() == []
