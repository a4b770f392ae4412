"""Pending marks: changed rows that wait for their turn, locked by whoever works on them until they are settled."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.marks import value_expression
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection


class Named(Protocol):
    """What a mapping wants selected, under a name (`migrator.mapping`'s `Projected`)."""

    @property
    def name(self) -> str:
        """What the value is called in a row."""

    @property
    def column(self) -> str:
        """The column's name."""

    @property
    def expression(self) -> str:
        """SQL with `{}` for the column."""


@dataclass(frozen=True, slots=True)
class PendingMark:
    """A mark that waits.

    `row_key` is the row's primary key since, `old_key` what item keys were made of before (both JSON); None: the row is
    gone since, or its item keys were the same before.
    """

    id: int
    source: str
    operation: str
    row_key: str | None
    old_key: str | None
    marked_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many marks wait, since when the oldest does, how many are set aside, and the bytes that all take on disk.

    `lag` is the age of the oldest in seconds, 0 where none waits. `live_bytes` are those of the marks that there are,
    about: the room of deleted ones is used again, but stays the table's.
    """

    waiting: int
    oldest: datetime | None
    set_aside: int
    bytes: int
    lag: float = 0.0
    live_bytes: int = 0

    def alarm(self, most: int) -> str | None:
        """What to say where waiting changes take more than so many bytes."""
        if self.live_bytes <= most:
            return None
        return (
            f"waiting changes take more than {most / 1e6:,.1f} MB of the source's disk (marks_bytes); nothing is lost, "
            "but the disk fills: see that `migrate relay` runs and keeps up"
        )


@dataclass(frozen=True, slots=True)
class Horizon:
    """The id that a mark was given last, and the oldest that there still is (None: none); set aside or not."""

    last: int
    oldest: int | None


class Claim:
    """Marks that this session has locked, within the transaction that `claimed` has opened."""

    def __init__(self, connection: Connection, marks: Sequence[PendingMark]) -> None:
        self.marks = marks
        self._connection = connection

    async def settle(self, marks: Sequence[int], reasons: Mapping[int, str]) -> None:
        """Delete marks that are settled, and set others aside for a reason; both stand when the transaction ends."""
        with errors_explained("settle marks", connection=self._connection, privileges=OWN_TABLES):
            if marks:
                await self._connection.execute(QUERIES["delete_marks"], list(marks))
            if reasons:
                await self._connection.execute(QUERIES["give_reasons"], list(reasons), list(reasons.values()))


@asynccontextmanager
async def claimed(connection: Connection, sources: Sequence[str], limit: int) -> AsyncIterator[Claim]:
    """Lock marks that nobody else works on, the oldest first, until the block ends.

    What is not settled in the block waits again afterwards, however the block ends.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("claim marks", connection=connection, privileges=OWN_TABLES):
        async with connection.transaction():
            found = await connection.fetch(QUERIES["claim_marks"], list(sources), limit)
            yield Claim(connection, [PendingMark(**row) for row in found])


async def backlog(connection: Connection, sources: Sequence[str]) -> Backlog:
    """Return how much waits for these sources."""
    with errors_explained("count the marks", connection=connection, privileges=OWN_TABLES):
        row = await connection.fetchrow(QUERIES["backlog"], list(sources))
        size = await connection.fetchval(QUERIES["marks_size"])
    live = await waiting_bytes(connection)
    return Backlog(row["waiting"], row["oldest"], row["set_aside"], size, row["lag"] or 0.0, live)


async def horizon(connection: Connection, sources: Sequence[str]) -> Horizon:
    """Return how far the marks of these sources are settled. Its cost does not grow with their number.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("see how far marks are settled", connection=connection, privileges=OWN_TABLES):
        row = await connection.fetchrow(QUERIES["horizon"], list(sources))
    return Horizon(row["last"], row["oldest"])


async def waiting_bytes(connection: Connection) -> int:
    """Return about how many bytes the marks that there are take on disk, by the server's statistics.

    It costs the same for any number of marks. The table itself keeps its size when marks are deleted.
    """
    with errors_explained("see how much waits", connection=connection, privileges=OWN_TABLES):
        return int(await connection.fetchval(QUERIES["waiting_marks_bytes"]))


async def to_try_again(connection: Connection, sources: Sequence[str]) -> int:
    """Return how many marks `try_again` would let wait for their turn again."""
    with errors_explained("count the marks that were set aside", connection=connection, privileges=OWN_TABLES):
        return int(await connection.fetchval(QUERIES["to_try_again"], list(sources)))


async def try_again(
    connection: Connection, sources: Sequence[str], *, after: int = 0, limit: int | None = None
) -> list[int]:
    """Let marks of these sources that were set aside wait for their turn again; return their ids, in order.

    Those of a TRUNCATE stay: no row is named by them, and only a resync ends them.

    Args:
        connection: a session on the source.
        sources: the sources.
        after: leave marks up to this id alone.
        limit: how many at most; None: all.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("try marks again", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(QUERIES["try_again"], list(sources), after, limit)
    return sorted(row["id"] for row in found)


async def values(
    connection: Connection, live: LiveTable, projection: Sequence[Named], keys: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what marks' keys hold (all the same columns) as rows carry it: the part of `projection` that is of them.

    Raises:
        SourceError: PostgreSQL cannot be reached, or a column has another type since.
    """
    if not keys:
        return []
    held = json.loads(keys[0]).keys()
    columns = {column.name: column for column in live.columns if column.name in held}
    names = [each.name for each in projection if each.column in columns]
    expressions = [
        each.expression.format(value_expression(columns[each.column], "given.key"))
        for each in projection
        if each.column in columns
    ]
    statement = (
        f"SELECT {', '.join(expressions)} "  # noqa: S608 - expressions are the mapping's, names are quoted
        "FROM (SELECT text::jsonb AS key, number FROM unnest($1::text[]) WITH ORDINALITY AS each(text, number)) "
        "AS given ORDER BY given.number"
    )
    with errors_explained(f"read marks of {live.table}", connection=connection, table=live.table):
        found = await connection.fetch(statement, list(keys))
    return [dict(zip(names, row, strict=True)) for row in found]
