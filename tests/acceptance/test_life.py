"""The life of a migration, with an application that goes on all the while: its short form, and that it can fail."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.history import violations
from tests.support.life import life
from tests.support.life_course import follow, forward, go_back, lived, move_reads, move_writes

if TYPE_CHECKING:
    from tests.support.history import Operation
    from tests.support.stores import Database, DynamoDBStore

ROWS = 100
RATE = 40.0
REST = 0.3
WRITES = 20


def some_seen(history: list[Operation]) -> Operation:
    """An acknowledged write whose value was read."""
    values = {each.value for each in history if each.is_read}
    return next(each for each in history[::-1] if each.kind == "write" and each.value in values)


@pytest.mark.uncovered
async def test_nothing_is_lost_forward_and_back(database: Database, dynamodb: DynamoDBStore) -> None:
    seed = secrets.randbits(32)
    sys.stdout.write(f"seed {seed}\n")
    async with life(database, dynamodb, seed, rows=ROWS, rate=RATE) as lives:
        async with lived(lives, between_kills=(8.0, 14.0)):
            await forward(lives, REST, kills=1)
            await go_back(lives, "dual-write", REST, kills=1)
            await move_reads(lives)
            await move_writes(lives, REST)
        await lives.settled()
        await lives.move("complete")
        await lives.read_all()
        history = lives.history()
        sys.stdout.write(f"{lives.figures.show(history)}\n")
        assert "\n".join(map(str, violations(history))) == ""
        dropped = some_seen(history)
        assert violations([each for each in history if each is not dropped])


@pytest.mark.uncovered
async def test_what_is_lost_is_seen(database: Database, dynamodb: DynamoDBStore) -> None:
    async with life(database, dynamodb, seed=1, rows=ROWS, rate=RATE) as lives:
        await follow(lives)
        await move_reads(lives)
        await lives.write(WRITES, LIFE_MODE="off")
        async with lives.migration.session() as session:
            await session.execute("DELETE FROM migrator.marks")
        await lives.read_all()
        assert {each.wrong for each in violations(lives.history())} >= {"lost"}
