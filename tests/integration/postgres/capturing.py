"""What the tests of capture share: tables with capture on them, and the marks that a change has left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from migrator.postgres import state
from migrator.postgres.capture import create_statements
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.connection import Connection


class Marked(NamedTuple):
    """A mark, without its number and time."""

    source: str
    operation: str
    row_key: dict[str, str | None] | None
    old_key: dict[str, str | None] | None


async def capture(
    session: Connection, name: str, columns: Sequence[str] | None = None, schema: str | None = None
) -> None:
    """Install capture on a table, and the toolkit's schema before."""
    await state.install(session)
    for statement in create_statements(TableName(name, schema), columns):
        await session.execute(statement)


async def marks(session: Connection) -> list[Marked]:
    """Take the marks that there are, in the order of their numbers: they are deleted."""
    found = await session.fetch(
        "WITH taken AS (DELETE FROM migrator.marks RETURNING *) "
        "SELECT source, operation::text, row_key::text, old_key::text FROM taken ORDER BY id"
    )
    return [Marked(row["source"], row["operation"], _read(row["row_key"]), _read(row["old_key"])) for row in found]


def _read(text: str | None) -> dict[str, Any] | None:
    document: dict[str, Any] | None = None if text is None else json.loads(text)
    return document


def inserted(source: str, **row_key: str) -> Marked:
    return Marked(source, "insert", dict(row_key), None)


def updated(source: str, old_key: dict[str, str | None] | None = None, /, **row_key: str) -> Marked:
    return Marked(source, "update", dict(row_key), old_key)


def deleted(source: str, **old_key: str | None) -> Marked:
    return Marked(source, "delete", None, dict(old_key))
