"""What a process costs before it does anything is spared: its sessions are kept, and what is known of the tables.

A process that dies leaves its transactions by an exception, so they are rolled back as PostgreSQL would do it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from migrator.engines.stores import live_table
from migrator.postgres import capture
from migrator.postgres.capture import standing
from migrator.postgres.connection import pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import pytest

    from migrator.mapping import Entity
    from migrator.postgres.capture import Capture
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.identifiers import TableName

_SIZE: Final = 40
_LOOKERS: Final = ("migrator.engines.relay.job", "migrator.engines.copy.job")
_OPENERS: Final = (
    "migrator.engines.relay.job",
    "migrator.engines.copy.job",
    "migrator.engines.copy.crew",
    "migrator.phases.move",
    "tests.support.machine.world",
)
"""The modules that open sessions or pools of them."""


class Session:
    """A session of the pool that is given back where it would be closed."""

    def __init__(self, kept: Pool, connection: Connection) -> None:
        self._kept = kept
        self._connection = connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - asyncpg's own
        return getattr(self._connection, name)

    async def close(self) -> None:
        await self._connection.execute("SELECT pg_advisory_unlock_all()")
        await self._kept.release(self._connection)


class Known:
    """What is known of the source's tables, and of capture on them until a TRUNCATE."""

    def __init__(self) -> None:
        self.truncated = False
        self._live: dict[str, LiveTable] = {}
        self._captures: dict[TableName, Capture] | None = None

    def remember(self, patch: pytest.MonkeyPatch) -> None:
        """Has processes be told what is known."""
        for name in _LOOKERS:
            patch.setattr(import_module(name), "live_table", self._live_table)
        patch.setattr(capture, "standing", self._standing)

    async def _live_table(self, connection: Connection, entity: Entity) -> LiveTable:
        if entity.name not in self._live:
            self._live[entity.name] = await live_table(connection, entity)
        return self._live[entity.name]

    async def _standing(
        self, connection: Connection, tables: Mapping[TableName, Sequence[str]]
    ) -> dict[TableName, Capture]:
        if self.truncated:
            return await standing(connection, tables)
        if self._captures is None:
            self._captures = await standing(connection, tables)
        return self._captures


@asynccontextmanager
async def kept_open(url: str, patch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Has all sessions of processes come from one pool until the block ends."""
    # When the clock is put forward, sessions that nobody uses would be closed.
    patch.setattr(asyncpg, "create_pool", partial(asyncpg.create_pool, max_inactive_connection_lifetime=0.0))
    async with pool(url, purpose="machine", size=_SIZE) as kept:

        @asynccontextmanager
        async def shared(*_: object, **__: object) -> AsyncIterator[Pool]:
            yield kept

        async def connect(*_: object, **__: object) -> Session:
            return Session(kept, await kept.acquire())

        for name in _OPENERS:
            for opener, instead in (("pool", shared), ("connect", connect)):
                patch.setattr(import_module(name), opener, instead, raising=False)
        try:
            yield
        finally:
            # A process that has died may have left a session behind.
            kept.terminate()
