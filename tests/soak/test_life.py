"""The life of a migration, again and again, with a load as applications have it; and that it can fail."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.history import violations
from tests.support.life import life
from tests.support.life_course import back_from_each, forward, lived

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stores import Database, DynamoDBStore

ROWS = 500
RATE = 400.0
REST = 10.0
WRITES = 100


@pytest.fixture
def dynamodb(fastest_dynamodb: DynamoDBStore) -> DynamoDBStore:
    """The load is to be the application's."""
    return fastest_dynamodb


@pytest.mark.soak
async def test_nothing_is_lost_whatever_is_killed(
    database: Database, dynamodb: DynamoDBStore, tell: Callable[[str], None]
) -> None:
    seed = secrets.randbits(32)
    tell(f"seed {seed}")
    async with life(database, dynamodb, seed, rows=ROWS, rate=RATE) as lives:
        async with lived(lives, between_kills=(4.0, 9.0), relays=2):
            await back_from_each(lives, REST, kills=2)
            await forward(lives, REST, kills=2)
        await lives.settled()
        tell(lives.figures.show(lives.history()))
        assert "\n".join(map(str, violations(lives.history()))) == ""


@pytest.mark.soak
async def test_a_migration_ends_under_load(
    database: Database, dynamodb: DynamoDBStore, tell: Callable[[str], None]
) -> None:
    async with life(database, dynamodb, seed=1, rows=ROWS, rate=RATE) as lives:
        async with lived(lives, between_kills=(4.0, 9.0)):
            await forward(lives, REST, kills=2)
            await lives.move("complete", kills=2)
        await lives.read_all()
        tell(lives.figures.show(lives.history()))
        assert "\n".join(map(str, violations(lives.history()))) == ""


@pytest.mark.soak
async def test_what_is_written_past_the_fence_is_seen(database: Database, dynamodb: DynamoDBStore) -> None:
    async with life(database, dynamodb, seed=1, rows=ROWS, rate=RATE) as lives:
        await forward(lives, 0, kills=0)
        await lives.write(WRITES)
        key = await lives.write_past_the_fence()
        await lives.read_all()
        assert [(each.wrong, each.operation.key) for each in violations(lives.history())] == [("lost", key)]
