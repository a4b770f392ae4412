"""The life of a migration, with an application that goes on all the while: its short form."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.history import violations
from tests.support.life import life
from tests.support.life_course import back, forward, lived

if TYPE_CHECKING:
    from tests.support.stores import Database, DynamoDBStore

ROWS = 300
RATE = 60.0


@pytest.mark.uncovered
async def test_nothing_is_lost_forward_and_back(database: Database, dynamodb: DynamoDBStore) -> None:
    seed = secrets.randbits(32)
    sys.stdout.write(f"seed {seed}\n")
    async with life(database, dynamodb, seed, rows=ROWS, rate=RATE) as lives:
        async with lived(lives, between_kills=(3.0, 6.0)):
            await forward(lives, rest=1.0)
            await back(lives, rest=1.0)
            await forward(lives, rest=1.0)
        await lives.migrate("relay", "--until-empty")
        await lives.migrate("verify")
        await lives.read_all()
        lives.count()
        history = lives.history()
        sys.stdout.write(f"{lives.figures.show(history)}\n")
        wrong = violations(history)
        sys.stdout.writelines(f"{each}\n" for each in wrong)
        assert wrong == []
