"""Rows that are carried back: written and deleted by primary key, past the fence.

Values go as text that PostgreSQL reads as the column's type, many rows in one statement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from migrator.errors import GateError
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import TableName, quoted
from migrator.postgres.queries import named_statements
from migrator.postgres.stand_in import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection

_STATEMENTS: Final = named_statements("reverse.sql")
_KEPT: Final = frozenset({"a", "r"})
"""What PostgreSQL does to rows that refer to one that is deleted, where it does nothing to them: it refuses."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: rows of `child` (an oid), of which `table` is the name, refer to rows of `parent`.

    `keeps` says that a row is not deleted while others refer to it.
    """

    child: int
    table: TableName
    parent: int
    keeps: bool
    child_columns: tuple[str, ...]
    parent_columns: tuple[str, ...]


async def references(connection: Connection, tables: Sequence[LiveTable]) -> list[Reference]:
    """Return the foreign keys that refer to these tables, from wherever.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("read foreign keys", connection=connection):
        found = await connection.fetch(_STATEMENTS["references"], [live.oid for live in tables])
    return [
        Reference(
            row["child"],
            TableName(row["name"], row["schema"]),
            row["parent"],
            row["on_delete"] in _KEPT,
            tuple(row["child_columns"]),
            tuple(row["parent_columns"]),
        )
        for row in found
    ]


def in_order(tables: Sequence[LiveTable], known: Sequence[Reference]) -> list[int]:
    """The tables by oid, those that are referred to before those that refer; of a circle, as they are given."""
    parents: dict[int, list[int]] = {live.oid: [] for live in tables}
    for each in known:
        if each.child in parents and each.parent in parents:
            parents[each.child].append(each.parent)
    ordered: dict[int, None] = {}

    def place(oid: int, above: frozenset[int]) -> None:
        if oid in ordered or oid in above:
            return
        for parent in parents[oid]:
            place(parent, above | {oid})
        ordered[oid] = None

    for live in tables:
        place(live.oid, frozenset())
    return list(ordered)


class RowWriter:
    """Writes rows of one table, and deletes them.

    Args:
        live: the table.
        columns: the columns that are written; others keep what they hold, or get their default.
        fixed: those of its columns that no UPDATE may set.
        known: the foreign keys that refer to it, of those that would delete or change rows that refer.
    """

    def __init__(
        self, live: LiveTable, columns: Sequence[str], *, fixed: Sequence[str], known: Sequence[Reference]
    ) -> None:
        self.live = live
        self.columns = tuple(columns)
        self._upsert = self._upsert_statement(frozenset(fixed))
        self._delete = self._delete_statement([each for each in known if not each.keeps])

    async def upsert(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, of different keys, over what there is of them; asyncpg's own errors come out."""
        await connection.execute(self._upsert, *([text_of(row[name]) for row in rows] for name in self.columns))

    async def delete(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Delete rows by their keys; return how many were. asyncpg's own errors come out.

        One is left to which others refer that PostgreSQL would delete or change along with it: nobody has said so.
        """
        keys = ([text_of(row[name]) for row in rows] for name in self.live.key)
        return len(await connection.fetch(self._delete, *keys))

    def _type(self, name: str) -> str:
        return next(column.type for column in self.live.columns if column.name == name)

    def _given(self, names: Sequence[str]) -> str:
        """The parameters, a list of texts for each of these columns, as rows."""
        arrays = ", ".join(f"${number}::text[]" for number, _ in enumerate(names, 1))
        return f"unnest({arrays}) AS given({', '.join(f'c{number}' for number, _ in enumerate(names))})"

    def _upsert_statement(self, fixed: frozenset[str]) -> str:
        names = ", ".join(map(quoted, self.columns))
        # Cast to the type without its modifier, then assigned: an explicit cast would cut what is too long.
        values = ", ".join(f"given.c{number}::{self._type(name)}" for number, name in enumerate(self.columns))
        # The key too: values that are equal to it need not be the same.
        assigned = [f"{quoted(name)} = excluded.{quoted(name)}" for name in self.columns if name not in fixed]
        action = f"UPDATE SET {', '.join(assigned)}" if assigned else "NOTHING"
        return (
            f"INSERT INTO {self.live.table.sql} ({names}) OVERRIDING SYSTEM VALUE "  # noqa: S608 - names are quoted
            f"SELECT {values} FROM {self._given(self.columns)} "
            f"ON CONFLICT ({', '.join(map(quoted, self.live.key))}) DO {action}"
        )

    def _delete_statement(self, spreading: Sequence[Reference]) -> str:
        key = [f"gone.{quoted(name)}" for name in self.live.key]
        conditions = [
            f"{column} = given.c{number}::{self._type(name)}"
            for number, (column, name) in enumerate(zip(key, self.live.key, strict=True))
        ]
        conditions += (f"NOT EXISTS ({self._referring(each, key)})" for each in spreading)
        return (
            f"DELETE FROM {self.live.table.sql} AS gone USING {self._given(self.live.key)} "  # noqa: S608 - as above
            f"WHERE {' AND '.join(conditions)} RETURNING true"
        )

    def _referring(self, reference: Reference, key: Sequence[str]) -> str:
        """Other rows that refer to the one that is deleted."""
        pairs = zip(reference.child_columns, reference.parent_columns, strict=True)
        conditions = [f"referring.{quoted(child)} = gone.{quoted(parent)}" for child, parent in pairs]
        if reference.child == self.live.oid:
            own = ", ".join(f"referring.{quoted(name)}" for name in self.live.key)
            conditions.append(f"({own}) <> ({', '.join(key)})")
        return f"SELECT FROM {reference.table.sql} AS referring WHERE {' AND '.join(conditions)}"


async def writer(
    connection: Connection, live: LiveTable, columns: Sequence[str], known: Sequence[Reference]
) -> RowWriter:
    """Return what writes these columns of a table, to which these foreign keys refer, among others.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained(f"read the definition of {live.table}", connection=connection):
        fixed = [row["attname"] for row in await connection.fetch(_STATEMENTS["identities"], live.oid)]
    own = [each for each in known if each.parent == live.oid]
    return RowWriter(live, columns, fixed=fixed, known=own)


async def hold(connection: Connection, tables: Sequence[LiveTable]) -> None:
    """Hold tables and the phases as they are until the transaction ends; as its first statements, they fix no snapshot.

    A move takes the tables before the phases too.

    Raises:
        SourceError: PostgreSQL cannot be reached, a table is gone, or the role may not write to it.
    """
    names = ", ".join(table.sql for table in sorted({live.table for live in tables}, key=str))
    grants = tuple(f"SELECT, INSERT, UPDATE, DELETE ON {live.table.sql}" for live in tables)
    with errors_explained(f"write to {names}", connection=connection, privileges=(*grants, *OWN_TABLES)):
        await connection.execute(f"LOCK TABLE {names} IN ROW EXCLUSIVE MODE")
        await connection.execute(_STATEMENTS["hold_phases_still"])


async def check_unmarked(connection: Connection, sources: Sequence[str]) -> None:
    """See that nobody has written to these tables past the fence.

    Raises:
        GateError: somebody has: there is a mark.
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("see whether tables were written", connection=connection, privileges=OWN_TABLES):
        found = [row["source"] for row in await connection.fetch(_STATEMENTS["marked"], list(sources))]
    if found:
        raise GateError(
            f"somebody has written to {', '.join(found)} past the fence, while DynamoDB is the master",
            safe="nothing is carried back any more; DynamoDB has every change of the applications",
            next_step="see who has disabled or dropped the trigger migrator_fence there, and ALTER TABLE ... ENABLE "
            "ALWAYS TRIGGER migrator_fence. What was written is not in DynamoDB: write it there too, delete its marks "
            "from migrator.marks, and start `migrate relay` again",
        )


async def unmark(connection: Connection, sources: Sequence[str]) -> None:
    """Delete the marks that this transaction's own writes have made: after `check_unmarked`, all that it sees.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("delete marks", connection=connection, privileges=OWN_TABLES):
        await connection.execute(_STATEMENTS["unmark"], list(sources))
