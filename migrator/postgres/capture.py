"""Capture: the triggers that mark every change of a source table. Here: whether they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.postgres.errors import errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.connection import Connection
    from migrator.postgres.identifiers import TableName


async def installed(connection: Connection, tables: Sequence[TableName]) -> dict[TableName, bool]:
    """Return for each table whether its changes are marked: the toolkit's trigger is on it, `ENABLE ALWAYS`.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("look for capture triggers", connection=connection):
        found = await connection.fetch(QUERIES["capture_installed"], [table.sql for table in tables])
    return {table: row["installed"] for table, row in zip(tables, found, strict=True)}
