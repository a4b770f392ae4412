"""Keys drawn from a table at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.postgres.catalog import estimated_rows
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import quoted

if TYPE_CHECKING:
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection
    from migrator.postgres.rows import Key

_READ_ROWS: Final = 100_000
"""Up to here all keys are read; of a larger table, about this many, from blocks taken at random."""


async def drawn(connection: Connection, live: LiveTable, count: int) -> list[Key]:
    """Return so many keys of a table; all of them where it has no more.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not read the table.
    """
    rows = await estimated_rows(connection, live)
    sample = "" if rows <= _READ_ROWS else f"TABLESAMPLE SYSTEM ({100 * max(_READ_ROWS, count) / rows:.6f})"
    key = ", ".join(f"source.{quoted(name)}::text" for name in live.key)
    statement = f"SELECT {key} FROM {live.table.sql} AS source {sample} ORDER BY random() LIMIT $1"  # noqa: S608 - names are quoted
    with errors_explained(f"draw keys of {live.table}", connection=connection, table=live.table):
        return [tuple(record) for record in await connection.fetch(statement, count)]
