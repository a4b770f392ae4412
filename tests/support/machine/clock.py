"""A clock that can be put forward, for the event loop and for PostgreSQL alike: a life passes in no time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection

INSTALL: Final = (
    "CREATE SCHEMA clock",
    "CREATE TABLE clock.hands (seconds float8 NOT NULL)",
    "INSERT INTO clock.hands VALUES (0)",
    (
        "CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        "'SELECT pg_catalog.clock_timestamp() + pg_catalog.make_interval(secs => seconds) FROM clock.hands'"
    ),
)
"""A function of the same name as PostgreSQL's own, in a schema that is searched before the system's."""
SEARCH_PATH: Final = "public, clock, pg_catalog"


class MovableLoop(asyncio.SelectorEventLoop):
    """An event loop whose time can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class Clock:
    """Both clocks. Holds how far they are ahead."""

    def __init__(self, loop: MovableLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return self._loop.time()

    async def forward(self, connection: Connection, seconds: float) -> None:
        """Puts both forward. What waits for a moment that is past by then goes on."""
        self._loop.ahead += seconds
        await connection.execute("UPDATE clock.hands SET seconds = seconds + $1", seconds)
