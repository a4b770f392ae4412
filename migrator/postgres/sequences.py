"""Sequences brought past the values that rows have which were not numbered by them.

Rows that are carried back from DynamoDB were numbered there. Before PostgreSQL numbers rows again, its sequences have
to be past these numbers, or the next insert takes one that is given away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName, literal, quoted
from migrator.postgres.queries import named_statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.connection import Connection

_STATEMENTS: Final = named_statements("sequences.sql")


@dataclass(frozen=True, slots=True)
class Advanced:
    """A sequence that was moved, and the value it last gave, by its own account now."""

    sequence: TableName
    value: int


async def advance(connection: Connection, tables: Sequence[TableName]) -> list[Advanced]:
    """Bring the sequences that feed columns of these tables past the values there; none is ever set back.

    What it does stands at once, as all that is done to a sequence, also where the caller's transaction is rolled back.
    Nobody else may draw numbers meanwhile: the tables are fenced.

    Returns:
        The sequences that were behind.

    Raises:
        SourceError: a privilege is missing, or PostgreSQL cannot be reached.
    """
    with errors_explained("advance the sequences", connection=connection):
        fed = await connection.fetch(_STATEMENTS["fed"], [table.sql for table in tables])
        moved = []
        for row in fed:
            sequence = TableName(row["sequence"], row["schema"])
            farthest, ahead = ("max", ">") if row["forward"] else ("min", "<")
            column, name = quoted(row["column"]), literal(sequence.sql)
            # A value that the sequence cannot give is none that it will come to.
            value: int | None = await connection.fetchval(
                f"SELECT setval({name}, farthest) "  # noqa: S608 - names are quoted
                f"FROM (SELECT {farthest}({column})::bigint AS farthest FROM {row['asked']}, pg_sequence "
                f"WHERE seqrelid = {name}::regclass AND {column} BETWEEN seqmin AND seqmax) AS rows, "
                f"{sequence.sql} AS sequence "
                f"WHERE farthest {ahead} last_value OR farthest = last_value AND NOT is_called"
            )
            if value is not None:
                moved.append(Advanced(sequence, value))
    return moved
