"""Sessions on the test's own database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.postgres.connection import Connection, Pool, connect, pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.stores import Database


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Connection]:
    """A session as the toolkit opens it."""
    connection = await connect(database.url, purpose="test")
    yield connection
    await connection.close()


@pytest.fixture
async def sessions(database: Database) -> AsyncIterator[Pool]:
    """A pool of such sessions."""
    async with pool(database.url, purpose="test", size=4) as opened:
        yield opened
