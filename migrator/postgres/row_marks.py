"""Marks of rows that are known by their keys: found among the latest, and claimed as a relay claims marks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from migrator.errors import UsageError
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import literal
from migrator.postgres.marks import document_expression
from migrator.postgres.pending import Claim, PendingMark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection
    from migrator.postgres.rows import Key


@dataclass(frozen=True, slots=True)
class MarkSearch:
    """Finds the marks of one table's rows. `statement` takes the keys, column by column, the source and the window."""

    source: str
    statement: str


async def search(connection: Connection, live: LiveTable) -> MarkSearch:
    """Return how the marks of a table's rows are found.

    A key is put into the form that it has in marks by the very expressions of the trigger. Marks have no index on the
    key, which would cost every writer more than finding them costs: the latest are read, by their ids.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not use the toolkit's schema.
    """
    count = len(live.key)
    given = await document_expression(connection, live, live.key, "wanted.k{}")
    marked = ", ".join(f"{literal(name)}, marks.old_key -> {literal(name)}" for name in live.key)
    arrays = ", ".join(f"${place + 1}::text[]" for place in range(count))
    names = ", ".join(f"k{place}" for place in range(count))
    statement = (
        "SELECT given.number, marks.id, marks.source, marks.operation::text, marks.row_key::text, "  # noqa: S608 - quoted
        "marks.old_key::text, marks.marked_at "
        f"FROM (SELECT number, {given} AS key "
        f"FROM unnest({arrays}) WITH ORDINALITY AS wanted({names}, number)) AS given "
        f"JOIN migrator.marks ON coalesce(marks.row_key, jsonb_build_object({marked})) = given.key "
        f"WHERE marks.reason IS NULL AND marks.source = ${count + 1} "
        f"AND marks.id > (SELECT last_value FROM migrator.marks_id_seq) - ${count + 2}::bigint "
        "ORDER BY marks.id FOR UPDATE OF marks SKIP LOCKED"
    )
    return MarkSearch(str(live.table), statement)


@dataclass(frozen=True, slots=True)
class RowClaim:
    """Marks of rows, and the numbers of the rows, within their search, that had any."""

    claim: Claim
    found: Mapping[str, frozenset[int]]


@asynccontextmanager
async def claimed(
    connection: Connection, wanted: Mapping[MarkSearch, Sequence[Key]], window: int
) -> AsyncIterator[RowClaim]:
    """Lock the marks of rows, as far as nobody else works on them, until the block ends.

    What is not settled in the block waits again afterwards, however the block ends.

    Args:
        connection: a session that is in no transaction.
        wanted: the keys of the rows by their table's search.
        window: how many of the latest marks are looked at; among them count those that are settled already.

    Raises:
        UsageError: a key cannot be read as one of its table.
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("claim marks", connection=connection, privileges=OWN_TABLES):
        async with connection.transaction():
            marks: dict[int, PendingMark] = {}
            found: dict[str, frozenset[int]] = {}
            for each, keys in wanted.items():
                columns = [list(column) for column in zip(*keys, strict=True)]
                try:
                    rows = await connection.fetch(each.statement, *columns, each.source, window)
                except asyncpg.DataError:
                    raise UsageError(f"a key given for {each.source} cannot be read as one of it") from None
                found[each.source] = frozenset(row["number"] - 1 for row in rows)
                marks |= {row["id"]: PendingMark(*list(row)[1:]) for row in rows}
            yield RowClaim(Claim(connection, list(marks.values())), found)
