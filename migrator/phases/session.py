"""Sessions on the source in which phases are looked at and moved."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from migrator.postgres import connection as connections
from migrator.postgres import state

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.postgres.connection import Connection


@asynccontextmanager
async def session(database_url: str | None) -> AsyncIterator[Connection]:
    """A session on a source that has the toolkit's schema.

    Raises:
        ConfigurationError: `prepare` has not been run.
        SourceError: PostgreSQL cannot be reached.
    """
    async with connections.session(database_url, purpose="switch") as connection:
        await state.require(connection)
        yield connection
