"""Marks made afterwards, for rows that have changed without one: as capture would have made them, and claimed by id."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.marks import document_expression
from migrator.postgres.pending import Claim, PendingMark
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection


@dataclass(frozen=True, slots=True)
class MissedMark:
    """What a mark is to hold of a row, as JSON: its key now (None: gone, or not known), and what it was before."""

    row_key: str | None
    old_key: str | None


@dataclass(frozen=True, slots=True)
class Form:
    """How these columns of a table stand in marks. `statement` takes their values, column by column, as text."""

    columns: tuple[str, ...]
    statement: str

    async def documents(self, connection: Connection, rows: Sequence[Mapping[str, str]]) -> list[str | None]:
        """Return what marks hold of rows, of which columns may be unknown; None where a value is none of its column.

        Args:
            connection: a session that is in no transaction.
            rows: column name -> text that PostgreSQL reads as the value.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        if not rows:
            return []
        texts = [[row.get(name) for row in rows] for name in self.columns]
        with errors_explained("put keys into the form of marks", connection=connection):
            try:
                return [row["document"] for row in await connection.fetch(self.statement, *texts)]
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                # Any text may stand in a stray's key; a domain refuses values by a constraint.
                if len(rows) == 1:
                    return [None]
        middle = len(rows) // 2
        return [*await self.documents(connection, rows[:middle]), *await self.documents(connection, rows[middle:])]


async def form(connection: Connection, live: LiveTable, columns: Sequence[str]) -> Form:
    """Return how these columns of a table stand in marks.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not use the toolkit's schema.
    """
    document = await document_expression(connection, live, columns, "given.k{}")
    arrays = ", ".join(f"${place + 1}::text[]" for place in range(len(columns)))
    names = ", ".join(f"k{place}" for place in range(len(columns)))
    statement = (
        f"SELECT {document}::text AS document "  # noqa: S608 - names are quoted, values are parameters
        f"FROM unnest({arrays}) WITH ORDINALITY AS given({names}, number) ORDER BY given.number"
    )
    return Form(tuple(columns), statement)


async def make(connection: Connection, source: str, missed: Sequence[MissedMark]) -> list[int]:
    """Insert marks of a source's rows, in a transaction of their own; return their ids.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not write marks.
    """
    with errors_explained(f"mark rows of {source}", connection=connection, privileges=OWN_TABLES):
        made = await connection.fetch(
            QUERIES["make_marks"], source, [mark.row_key for mark in missed], [mark.old_key for mark in missed]
        )
    return [row["id"] for row in made]


@asynccontextmanager
async def claimed(connection: Connection, marks: Sequence[int]) -> AsyncIterator[Claim]:
    """Lock those of these marks that wait and that nobody else works on, until the block ends (`pending.claimed`).

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("claim marks", connection=connection, privileges=OWN_TABLES):
        async with connection.transaction():
            found = await connection.fetch(QUERIES["claim_these_marks"], list(marks))
            yield Claim(connection, [PendingMark(**row) for row in found])


async def waiting(connection: Connection, marks: Sequence[int]) -> list[int]:
    """Return those of these marks that still wait, whoever works on them."""
    with errors_explained("see which marks wait", connection=connection, privileges=OWN_TABLES):
        return [row["id"] for row in await connection.fetch(QUERIES["waiting_marks"], list(marks))]
