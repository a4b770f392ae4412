"""Rows written to a stand-in of their table: its types, NOT NULL, checks, defaults and unique keys, and nothing else.

The stand-in is a temporary table in a transaction that is rolled back: the table itself is neither written to nor
locked against writers, and no trigger of it runs. Foreign keys are not part of it.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName, quoted
from migrator.postgres.queries import QUERIES
from migrator.postgres.refusals import REFUSED, refusal
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection, Record
    from migrator.postgres.rows import Key, Selected

_NAME: Final = TableName("migrator_stand_in", "pg_temp")


async def written(
    connection: Connection,
    live: LiveTable,
    projection: Sequence[Selected],
    rows: Mapping[Key, Mapping[str, Any]],
) -> dict[Key, Record | str]:
    """Write rows to a stand-in, read them back, and undo it all.

    Args:
        connection: a session on the primary that is in no transaction.
        live: the table that the stand-in is for.
        projection: what to select of a row that was written.
        rows: the rows by their primary keys: column name -> value as rows carry it, all with the same columns.

    Returns:
        By primary key, the row as it reads; a text says why PostgreSQL does not take it. A row that is not found under
        its key is left out.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may make no temporary table.
    """
    what = f"write to a stand-in of {live.table}"
    with errors_explained(what, connection=connection):
        database = quoted(await connection.fetchval(QUERIES["database"]))
    grants = (f"SELECT ON {live.table.sql}", f"TEMPORARY ON DATABASE {database}")
    with errors_explained(what, connection=connection, privileges=grants):
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(
                f"CREATE TEMPORARY TABLE {quoted(_NAME.name)} (LIKE {live.table.sql} INCLUDING DEFAULTS "
                "INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING INDEXES) ON COMMIT DROP"
            )
            found: dict[Key, Record | str] = {}
            for key, row in rows.items():
                refusal = await _insert(connection, live, row)
                if refusal is not None:
                    found[key] = refusal
            left = [key for key in rows if key not in found]
            source = RowSource(replace(live, table=_NAME), projection)
            records = await source.by_keys(connection, left)
        finally:
            if not connection.is_closed():
                await transaction.rollback()
    return found | {key: record for key, record in zip(left, records, strict=True) if record is not None}


async def _insert(connection: Connection, live: LiveTable, row: Mapping[str, Any]) -> str | None:
    """Write a row; returns why PostgreSQL does not take it, without its values."""
    types = {column.name: column.type for column in live.columns}
    names = ", ".join(map(quoted, row))
    # Text that is cast to the type without its modifier, then assigned: an explicit cast would cut what is too long.
    values = ", ".join(f"${number}::text::{types[name]}" for number, name in enumerate(row, 1))
    try:
        async with connection.transaction():
            statement = f"INSERT INTO {_NAME.sql} ({names}) VALUES ({values})"  # noqa: S608 - names are quoted
            await connection.execute(statement, *map(text_of, row.values()))
    except REFUSED as error:
        return refusal(error)
    return None


def text_of(value: object) -> str | None:
    """A value as rows carry it, as text that PostgreSQL reads as the same value; None is NULL."""
    match value:
        case None:
            return None
        case list():
            return f"{{{','.join(map(_element, value))}}}"
        case bytes():
            return f"\\x{value.hex()}"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
    return str(value)


def _element(value: object) -> str:
    text = text_of(value)
    if text is None:
        return "NULL"
    if isinstance(value, list):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
