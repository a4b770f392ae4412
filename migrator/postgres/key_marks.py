"""Marks of which only columns of their rows are known: what a snapshot says of them, none of them locked."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import literal
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.postgres.connection import Connection

_OF_ROWS: Final = "marks.row_key"


async def of_rows(connection: Connection, source: str, keys: Sequence[str | None]) -> Mapping[int, list[str | None]]:
    """Return the marks of rows by their primary keys as they are since the change.

    Args:
        connection: a session, as a rule in the transaction whose snapshot is to be told of.
        source: the source, as marks name it.
        keys: the keys, each in the form of marks (`missed_marks.Form.documents`); None: no row.

    Returns:
        By place in `keys`, the reason of each mark: None where it waits for its turn.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not read marks.
    """
    return await _marks(connection, source, _OF_ROWS, keys)


async def of_former_rows(
    connection: Connection, source: str, columns: Sequence[str], values: Sequence[str | None]
) -> Mapping[int, list[str | None]]:
    """Return the marks of rows by what these columns held before the change; otherwise as `of_rows`."""
    held = ", ".join(f"{literal(name)}, marks.old_key -> {literal(name)}" for name in columns)
    return await _marks(connection, source, f"jsonb_build_object({held})", values)


async def of_truncation(connection: Connection, source: str) -> str | None:
    """Return why a TRUNCATE of the source was set aside: it names no row. None: there was none, or it waits."""
    with errors_explained(f"read the marks of {source}", connection=connection, privileges=OWN_TABLES):
        reason: str | None = await connection.fetchval(QUERIES["truncation_set_aside"], source)
    return reason


async def _marks(
    connection: Connection, source: str, held: str, documents: Sequence[str | None]
) -> Mapping[int, list[str | None]]:
    # Equality can be hashed: the marks, which have no index on what they hold, are read once for all documents.
    statement = (
        "SELECT wanted.number - 1 AS place, marks.reason "  # noqa: S608 - names are quoted, values are parameters
        "FROM unnest($1::text[]) WITH ORDINALITY AS wanted(document, number) "
        f"JOIN migrator.marks ON {held} = wanted.document::jsonb WHERE marks.source = $2"
    )
    with errors_explained(f"read the marks of {source}", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(statement, list(documents), source)
    marks: dict[int, list[str | None]] = defaultdict(list)
    for row in found:
        marks[row["place"]].append(row["reason"])
    return marks
