"""The story of an application whose data moves while it is written to: its short form, and that its checks can fail."""

from __future__ import annotations

import secrets
import sys
from collections import Counter
from typing import TYPE_CHECKING

from tests.support.story import story
from tests.support.story_course import tell, writing
from tests.support.story_processes import finished

if TYPE_CHECKING:
    from tests.support.stores import Database, DynamoDBStore

KILLS = 5
WRITES = 300
DIFFERENCES = 3


async def test_nothing_is_lost_whatever_is_killed(database: Database, dynamodb: DynamoDBStore) -> None:
    seed = secrets.randbits(32)
    sys.stdout.write(f"seed {seed}\n")
    async with story(database, dynamodb, seed) as told:
        await tell(told, kills=KILLS, writes=WRITES)
        sys.stdout.write(f"{told.figures.show(told.ledger)}\n")
        assert told.figures.kills.total() == KILLS
        assert len(told.figures.kills) == 4
        assert await told.wrong() == []


async def test_what_is_lost_is_seen(database: Database, dynamodb: DynamoDBStore) -> None:
    async with story(database, dynamodb, seed=1) as told, told.application() as application:
        await finished(told.environment, "migrator", "copy")
        assert await told.wrong() == []
        await application.start(STORY_MODE="off")
        async with writing(told, WRITES // 5):
            pass
        await application.end()
        async with told.migration.session() as session:
            await session.execute("DELETE FROM migrator.marks")
            await session.execute("DELETE FROM line_messages WHERE id = (SELECT min(id) FROM line_messages)")
        await told.settled()
        await finished(told.environment, "migrator", "verify", expected=DIFFERENCES)
        seen = Counter((line.partition(" ")[0], line.rpartition(": ")[2]) for line in await told.wrong())
    assert seen.pop(("line_messages", "lost")) == 1
    assert seen.keys() == {("item", "lost"), ("item", "alive"), ("item", "old")}
