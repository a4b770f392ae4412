"""Rows in the order of their primary key, page by page, each page a short transaction of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import asyncpg

from migrator.errors import UsageError
from migrator.postgres.catalog import estimated_rows
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection, Record

Key: TypeAlias = tuple[str, ...]
"""A primary key: the text form (`column::text`) of its columns, in the key's order. Exact both ways."""

# Up to here a split reads the whole index of the key; above, it reads this many rows, from blocks taken at random.
_SAMPLE_ROWS: Final = 100_000
_ALL_ROWS: Final = 2**62


class Selected(Protocol):
    """What a mapping wants selected (`migrator.mapping`'s `Projected`)."""

    @property
    def column(self) -> str:
        """The column's name."""

    @property
    def expression(self) -> str:
        """SQL with `{}` for the quoted column."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows that follow each other in the order of the key, and the key of the last one (None: there are no rows)."""

    records: list[Record]
    last: Key | None


class RowSource:
    """Reads one table for one projection.

    A record holds the projection's values in order, then the key's columns as text (`key_of` reads them). `only` is a
    condition (`migrator.postgres.row_filters`) that rows must meet to be in a page.
    """

    def __init__(self, live: LiveTable, projection: Sequence[Selected], only: str | None = None) -> None:
        self.table = live.table
        self.key_columns = live.key
        self._live = live
        self._only = only
        # Everything is qualified: ORDER BY takes a bare name for the selected text of the column, not for the column,
        # and would sort by it.
        self._key = [f"source.{quoted(name)}" for name in live.key]
        columns = {column.name: column for column in live.columns}
        # A cast to a domain would bring its collation and its checks with it.
        self._key_types = [columns[name].base_type for name in live.key]
        self._first_key_field = len(projection)
        selected = [each.expression.format(f"source.{quoted(each.column)}") for each in projection]
        self._selected = ", ".join([*selected, *(f"{column}::text" for column in self._key)])
        self._pages = {
            (lower, upper): self._page_statement(lower=lower, upper=upper)
            for lower in (False, True)
            for upper in (False, True)
        }
        self._by_keys = self._by_keys_statement()

    def key_of(self, record: Record) -> Key:
        """Return the primary key of a record that this source yielded."""
        return tuple(record[self._first_key_field :])

    def named_key(self, key: Key) -> dict[str, str]:
        """Return the key as marks hold it: column name -> text."""
        return dict(zip(self.key_columns, key, strict=True))

    async def page(self, connection: Connection, after: Key | None, until: Key | None, limit: int) -> Page:
        """Return the first `limit` rows of the range (`after`, `until`]; None is no bound. A shorter page is the last.

        Raises:
            SourceError: PostgreSQL cannot be reached, the role may not read the table, or the table has changed.
        """
        bounds = [*(after or ()), *(until or ())]
        with errors_explained(f"read {self.table}", connection=connection, table=self.table):
            records = await connection.fetch(self._pages[after is not None, until is not None], limit, *bounds)
        return Page(records, self.key_of(records[-1]) if records else None)

    async def by_keys(self, connection: Connection, keys: Sequence[Key]) -> list[Record | None]:
        """Return the rows of these keys, in their order, None where there is no such row. One query, one snapshot.

        Raises:
            UsageError: a key cannot be read as one of this table; only a key that a person typed can be such.
            SourceError: as `page`.
        """
        if any(len(key) != len(self.key_columns) for key in keys):
            raise self._wrong_key()
        texts = [[key[part] for key in keys] for part in range(len(self.key_columns))]
        with errors_explained(f"read {self.table}", connection=connection, table=self.table):
            try:
                records = await connection.fetch(self._by_keys, *texts)
            except asyncpg.DataError:
                raise self._wrong_key() from None
        return [None if record[self._first_key_field] is None else record for record in records]

    async def expected(self, connection: Connection, after: Key | None, until: Key | None) -> int:
        """Return about how many rows a range has, as the planner sees it.

        Raises:
            UsageError: a bound cannot be read as a key of this table.
            SourceError: as `page`.
        """
        bounds = [*(after or ()), *(until or ())]
        if any(len(key) != len(self.key_columns) for key in (after, until) if key is not None):
            raise self._wrong_key()
        statement = f"EXPLAIN (FORMAT JSON) {self._pages[after is not None, until is not None]}"
        with errors_explained(f"read {self.table}", connection=connection, table=self.table):
            try:
                plan = json.loads(await connection.fetchval(statement, _ALL_ROWS, *bounds))
            except asyncpg.DataError:
                raise self._wrong_key() from None
        return int(plan[0]["Plan"]["Plan Rows"])

    async def split(self, connection: Connection, parts: int) -> list[Key]:
        """Return at most `parts` - 1 keys, in order, between which there are about as many rows.

        The ranges are (lowest, first], (first, second] ... (last, highest]. Rows are counted or sampled, values are
        not interpolated: a skewed key splits as evenly as any.

        Raises:
            SourceError: as `page`.
        """
        if parts <= 1:
            return []
        rows = await estimated_rows(connection, self._live)
        sample = "" if rows <= _SAMPLE_ROWS else f"TABLESAMPLE SYSTEM ({100 * _SAMPLE_ROWS / rows:.6f})"
        names = [f"k{number}" for number in range(len(self._key))]
        inner = ", ".join(f"{column} AS {name}" for column, name in zip(self._key, names, strict=True))
        order = ", ".join(self._key)
        descending = ", ".join(f"ranked.{name} DESC" for name in names)
        texts = ", ".join(f"ranked.{name}::text" for name in names)
        statement = (
            f"SELECT DISTINCT ON (part) {texts} "  # noqa: S608 - names are quoted, values are parameters
            f"FROM (SELECT {inner}, ntile($1) OVER (ORDER BY {order}) AS part "
            f"FROM {self.table.sql} AS source {sample}) AS ranked "
            f"ORDER BY part, {descending}"
        )
        with errors_explained(f"split {self.table}", connection=connection, table=self.table):
            ends = await connection.fetch(statement, parts)
        return [tuple(end) for end in ends[:-1]]

    def _page_statement(self, *, lower: bool, upper: bool) -> str:
        key = f"({', '.join(self._key)})"
        conditions, number = [] if self._only is None else [self._only], 2
        for wanted, operator in ((lower, ">"), (upper, "<=")):
            if wanted:
                casts = (f"${number + part}::text::{kind}" for part, kind in enumerate(self._key_types))
                conditions.append(f"{key} {operator} ({', '.join(casts)})")
                number += len(self._key)
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        order = ", ".join(self._key)
        return (
            f"SELECT {self._selected} FROM {self.table.sql} AS source "  # noqa: S608 - names are quoted
            f"{where}ORDER BY {order} LIMIT $1"
        )

    def _by_keys_statement(self) -> str:
        parts = range(len(self._key))
        arrays = ", ".join(f"${part + 1}::text[]" for part in parts)
        names = ", ".join(f"k{part}" for part in parts)
        equal = " AND ".join(
            f"{column} = wanted.k{part}::{kind}"
            for part, column, kind in zip(parts, self._key, self._key_types, strict=True)
        )
        return (
            f"SELECT {self._selected} "  # noqa: S608 - names are quoted, values are parameters
            f"FROM unnest({arrays}) WITH ORDINALITY AS wanted({names}, number) "
            f"LEFT JOIN {self.table.sql} AS source ON {equal} ORDER BY wanted.number"
        )

    def _wrong_key(self) -> UsageError:
        types = ", ".join(f"{name} {kind}" for name, kind in zip(self.key_columns, self._key_types, strict=True))
        return UsageError(
            f"a key given for {self.table} cannot be read as ({types})",
            safe="nothing was read or changed",
            next_step="give the key as PostgreSQL writes it, one value for each column",
        )
