"""Sessions on the source: opened with every setting pinned that changes how a value reads, and errors explained."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import asyncpg

from migrator.errors import SourceError
from migrator.postgres.address import parse
from migrator.postgres.errors import errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.postgres.address import Address

# asyncpg ships no types; the names say which of its classes is meant.
Connection: TypeAlias = Any
Pool: TypeAlias = Any
Record: TypeAlias = Any

_READING: Final = {
    # How values read as text, whatever the role's, the database's or the server's own settings are.
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmlbinary": "base64",
    # A policy that would hide rows is an error, as it is to pg_dump: rows left out unseen would be lost.
    "row_security": "off",
}
_SETTINGS: Final = {
    **_READING,
    # Rows are read in the order of an index. Before the first ANALYZE the planner may think a sort is cheaper, and
    # would sort the rest of the table for each page; a plan made without the bounds' values may do so too.
    "enable_sort": "off",
    "enable_incremental_sort": "off",
    "plan_cache_mode": "force_custom_plan",
    # Nothing here waits, or holds others up, for long. A statement limit in the client covers a dead network.
    "statement_timeout": "300s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "60",
}
_CLIENT_SIDE_LIMIT_SECONDS: Final = 330.0
_OLDEST: Final = (13, 0)
_UNCHANGED: Final = "nothing was read or changed"


async def connect(url: str | None, *, purpose: str, read_only: bool = False) -> Connection:
    """Open one session, for what belongs to a session (locks) or needs only one.

    Args:
        url: the source, as `migrator.postgres.address` reads it; None: as the environment's `PG*` variables say.
        purpose: what the session is for; `pg_stat_activity` shows it as `migrator <purpose>`.
        read_only: only read. A replica will do, and the server refuses any write.

    Raises:
        ConfigurationError: the URL, the role, the password or the database is wrong.
        SourceError: the server cannot be reached, is too old, or takes no writes where `read_only` is False.
    """
    address = parse(url)
    with errors_explained(f"connect to {address}", safe=_UNCHANGED):
        connection = await asyncpg.connect(**_arguments(address, purpose, read_only=read_only))
    try:
        await _check(connection, address, read_only=read_only)
    except BaseException:
        connection.terminate()
        raise
    return connection


@asynccontextmanager
async def session(url: str | None, *, purpose: str) -> AsyncIterator[Connection]:
    """Open such a session for a block: with whatever ends the block, it ends, and the locks that it holds.

    Raises:
        ConfigurationError, SourceError: as `connect`.
    """
    connection = await connect(url, purpose=purpose)
    try:
        yield connection
    except BaseException:
        # Whatever failed, or was interrupted, does not wait for a statement in flight.
        connection.terminate()
        raise
    await connection.close()


@asynccontextmanager
async def pool(url: str | None, *, purpose: str, size: int, read_only: bool = False) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` such sessions, for work that runs side by side; the first is opened at once.

    Raises:
        ConfigurationError, SourceError: as `connect`, for the first session. The ones that `acquire` opens later raise
            asyncpg's own errors, so `acquire` belongs into `errors_explained` as the statement does.
    """
    address = parse(url)

    async def check(connection: Connection) -> None:
        await _check(connection, address, read_only=read_only)

    with errors_explained(f"connect to {address}", safe=_UNCHANGED):
        opened = await asyncpg.create_pool(
            min_size=1,
            max_size=size,
            init=check,
            reset=_left_alone,
            **_arguments(address, purpose, read_only=read_only),
        )
    try:
        yield opened
    except BaseException:
        # Whatever failed, or was interrupted, does not wait for statements in flight.
        opened.terminate()
        raise
    with errors_explained("close the connections", safe="the work itself is done"):
        await opened.close()


async def _left_alone(_connection: Connection) -> None:
    """Nothing here changes a session's state; asyncpg's own reset is a round trip for every page that is read."""


def _arguments(address: Address, purpose: str, *, read_only: bool) -> dict[str, Any]:
    settings = {**_SETTINGS, "application_name": f"migrator {purpose}"[:63]}
    if read_only:
        settings["default_transaction_read_only"] = "on"
    return {
        "dsn": address.dsn,
        "timeout": address.connect_timeout,
        "command_timeout": _CLIENT_SIDE_LIMIT_SECONDS,
        "server_settings": settings,
    }


async def _check(connection: Connection, address: Address, *, read_only: bool) -> None:
    """Refuse what would not serve: a server that is too old, a pooler, or no writes where they are needed."""
    version = connection.get_server_version()
    if version[:2] < _OLDEST:
        raise SourceError(
            f"{address} is version {version.major}; the oldest that serves is {_OLDEST[0]}",
            safe=_UNCHANGED,
            next_step="upgrade PostgreSQL, or use a logical replica of a newer version as the source",
        )
    with errors_explained(f"use {address}", safe=_UNCHANGED):
        others = await connection.fetchval(QUERIES["other_settings"], list(_READING), list(_READING.values()))
    if others:
        raise SourceError(
            f"{address} has not taken the session's settings ({', '.join(others)}), as connection poolers do",
            safe=_UNCHANGED,
            next_step="connect to PostgreSQL itself rather than to a pooler: locks and settings belong to a session",
        )
    if read_only:
        return
    with errors_explained(f"use {address}", safe=_UNCHANGED):
        state = await connection.fetchrow(QUERIES["writability"])
    if state["in_recovery"]:
        raise SourceError(
            f"{address} is a replica, which takes no writes",
            safe=_UNCHANGED,
            next_step="connect to the primary: progress, marks and locks are kept there",
        )
    if state["read_only"]:
        raise SourceError(
            f"{address} opens every transaction read-only (default_transaction_read_only) for this role",
            safe=_UNCHANGED,
            next_step="as a superuser run: ALTER ROLE ... SET default_transaction_read_only = off",
        )
