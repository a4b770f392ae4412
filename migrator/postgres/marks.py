"""Marks: rows whose items are not known to be in the target. What they hold, and the ones set aside with a reason."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import literal
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from migrator.postgres.catalog import LiveColumn, LiveTable
    from migrator.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that is set aside: its key (column name -> text), and the reason, which holds no value of the row."""

    row_key: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A row set aside, as it is on record; `operation` is `copy` where a copy did it."""

    id: int
    source: str
    operation: str
    row_key: Mapping[str, str] | None
    marked_at: datetime
    reason: str


def value_expression(column: LiveColumn, document: str) -> str:
    """Return SQL for a column's value in a mark: of the column's own type, and equal to what the row held.

    Args:
        column: the column, as the catalog has it.
        document: SQL for the mark's `row_key` or `old_key`.

    It holds in sessions that `migrator.postgres.connection` has opened, whatever the settings of the writer's were.
    """
    return f"({document} ->> {literal(column.name)})::{column.base_type}"


async def document_expression(connection: Connection, live: LiveTable, columns: Sequence[str], given: str) -> str:
    """Return SQL for what a mark holds of a row (jsonb), made by the very expressions of the trigger.

    Args:
        connection: a session on the source.
        live: the table.
        columns: which of its columns.
        given: SQL for each one's text, with `{}` for its place in `columns`.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not use the toolkit's schema.
    """
    with errors_explained(f"see how {live.table} is marked", connection=connection, privileges=OWN_TABLES):
        forms = await connection.fetch(
            "SELECT name, value FROM migrator.captured_columns($1::oid, $2::text[])", live.oid, list(columns)
        )
    types = {column.name: column.declared_type for column in live.columns}
    parts = (
        # Without a text there is no value, not even one of a domain that has no NULL.
        f"{literal(form['name'])}, CASE WHEN {text} IS NOT NULL THEN "
        + form["value"].replace("%s", f"{text}::{types[form['name']]}")
        + " END"
        for form, text in ((form, f"{given.format(place)}::text") for place, form in enumerate(forms))
    )
    return f"jsonb_build_object({', '.join(parts)})"


async def set_aside(connection: Connection, source: str, *, limit: int) -> list[Mark]:
    """Return rows of a source that are set aside, the oldest first."""
    with errors_explained(
        f"read the rows of {source} that were set aside", connection=connection, privileges=OWN_TABLES
    ):
        found = await connection.fetch(QUERIES["set_aside"], source, limit)
    return [Mark(**{**row, "row_key": row["row_key"] and json.loads(row["row_key"])}) for row in found]


async def set_aside_count(connection: Connection, source: str) -> int:
    """Return how many rows of a source are set aside."""
    with errors_explained(
        f"count the rows of {source} that were set aside", connection=connection, privileges=OWN_TABLES
    ):
        return int(await connection.fetchval(QUERIES["set_aside_count"], source))


async def clear(connection: Connection, mark: int) -> bool:
    """Delete a mark; return whether it was there."""
    with errors_explained(f"clear the mark {mark}", connection=connection, privileges=OWN_TABLES):
        return await connection.fetchval(QUERIES["clear_mark"], mark) is not None
