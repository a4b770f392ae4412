"""Locks with names: advisory locks of a session, freed when it ends, however it ends."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from migrator.errors import LockedError
from migrator.postgres.errors import errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.postgres.connection import Connection

# A run that was killed a moment ago may still be on the server's books.
_PATIENCE = "2s"


def of_copies(model: str) -> str:
    """The lock that a copy of a model holds, and a move of its phases: neither begins while the other runs."""
    return f"copy:{model}"


@asynccontextmanager
async def lock(connection: Connection, name: str) -> AsyncIterator[None]:
    """Hold the lock `name` (such as `copy:miyabi`) while the block runs.

    The lock is the session's: it ends with `connection`, so a killed run leaves none behind. The connection should be
    used for nothing that lasts.

    Raises:
        LockedError: another session holds it; the message names that session.
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained(f"take the lock {name}", connection=connection):
        try:
            async with connection.transaction():
                await connection.execute(QUERIES["lock_patience"], _PATIENCE)
                await connection.execute(QUERIES["lock"], name)
        except asyncpg.LockNotAvailableError:
            holder = await connection.fetchrow(QUERIES["lock_holder"], name)
            raise _held(name, holder) from None
    try:
        yield
    finally:
        # A session that is gone holds no lock.
        if not connection.is_closed():
            with errors_explained(f"free the lock {name}", connection=connection):
                await connection.execute(QUERIES["unlock"], name)


def _held(name: str, holder: asyncpg.Record | None) -> LockedError:
    who = "another session, which has ended meanwhile"
    if holder is not None:
        since = "" if holder["since"] is None else f", connected since {holder['since']}"
        application = holder["application_name"] or "without an application_name"
        who = f"the session {application} (pid {holder['pid']}{since})"
    return LockedError(
        f"the lock {name} is held by {who}",
        safe="nothing was done; the other run goes on",
        next_step="wait until it is done, or stop it, then run the command again",
    )
