"""Fills a source with rows by `COPY`, the quickest way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from migrator.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


async def load(
    connection: asyncpg.Connection,
    batches: Iterable[tuple[str, Sequence[str], Sequence[Sequence[object]]]],
) -> dict[str, int]:
    """Load batches in their order, in one transaction, and have PostgreSQL analyse the tables.

    Args:
        connection: A connection without type codecs of its own.
        batches: Table, columns and records, whose values stand in the order of the columns; jsonb as JSON text. They
            are taken one at a time, so that a generator of any length needs the memory of one.

    Returns:
        Rows loaded, by table.

    Raises:
        SourceError: PostgreSQL refuses a table or its rows. Nothing was loaded then.
    """
    loaded: dict[str, int] = {}
    async with connection.transaction():
        for table, columns, records in batches:
            try:
                await connection.copy_records_to_table(table, columns=columns, records=records)
            except asyncpg.PostgresError as error:
                # The error's own text may hold values of the row.
                raise SourceError(
                    f"cannot load rows into {table}: {type(error).__name__} (SQLSTATE {error.sqlstate})",
                    safe="nothing was loaded: the transaction was rolled back",
                    next_step="load into the empty tables of a fresh schema (alembic upgrade head)",
                ) from error
            loaded[table] = loaded.get(table, 0) + len(records)
    for table in loaded:
        # Without figures about the new rows, PostgreSQL plans as if the tables were empty.
        await connection.execute('ANALYZE "{}"'.format(table.replace('"', '""')))
    return loaded
