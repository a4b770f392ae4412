"""The source schema as it is: what pg_catalog says of a table, and where that differs from what a mapping declares."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlalchemy.dialects import postgresql
from sqlalchemy.types import NullType

from migrator.errors import SourceError
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName, quoted
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import sqlalchemy as sa

    from migrator.postgres.connection import Connection

Kind: TypeAlias = Literal["table", "partitioned table", "view", "materialized view", "foreign table", "relation"]

_KINDS: Final[Mapping[str, Kind]] = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_TEXT: Final = frozenset({"text", "character varying"})
# Below this size, counting takes a moment; above it, a share of the blocks is counted.
_COUNTED_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LiveColumn:
    """A column as pg_catalog describes it.

    `type` is PostgreSQL's name of the type without modifier (`numeric`), `declared_type` with it (`numeric(5,2)`), and
    `base_type` the type behind a domain, else the same as `type`; each may stand in a cast. `collation` and `labels`
    (of an enum) are None and empty where the type has none.
    """

    name: str
    type: str
    declared_type: str
    base_type: str
    not_null: bool
    generated: bool
    collation: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LiveTable:
    """A table as pg_catalog describes it; `key` holds the primary key's columns in the key's order."""

    table: TableName
    oid: int
    kind: Kind
    columns: tuple[LiveColumn, ...]
    key: tuple[str, ...]
    inherited: bool

    def column(self, name: str) -> LiveColumn | None:
        """Return the column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


async def read(connection: Connection, table: TableName) -> LiveTable | None:
    """Return the table as it is now, or None where there is none of that name.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not see the table's schema.
    """
    with errors_explained(f"read the definition of {table}", connection=connection, table=table):
        found = await connection.fetchrow(QUERIES["table"], table.sql)
        if found is None:
            return None
        columns = await connection.fetch(QUERIES["columns"], found["oid"])
        key = await connection.fetch(QUERIES["primary_key"], found["oid"])
    return LiveTable(
        table=TableName(found["name"], found["schema"]),
        oid=found["oid"],
        kind=_KINDS.get(found["kind"], "relation"),
        columns=tuple(LiveColumn(**{**column, "labels": tuple(column["labels"])}) for column in columns),
        key=tuple(column["name"] for column in key),
        inherited=found["inherited"],
    )


async def require(connection: Connection, table: TableName) -> LiveTable:
    """Return the table as it is now.

    Raises:
        SourceError: there is none of that name, or it cannot be read in the order of a primary key.
    """
    live = await read(connection, table)
    problem = f"table {table} does not exist" if live is None else next(_unreadable(live), None)
    if live is None or problem is not None:
        raise SourceError(
            f"{problem}",
            safe="nothing was read or changed",
            next_step="bring the source schema up to date (alembic upgrade head), or correct the mapping's table",
        )
    return live


async def compare(connection: Connection, declared: sa.Table) -> list[str]:
    """Return how the live table differs from the declared one where it matters to a mapping; empty: it does not.

    Each difference is a sentence. `text` and `varchar` are the same here, as are a domain and its base type; a live
    column that is not declared is no difference.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not see the table's schema.
    """
    table = TableName(declared.name, declared.schema)
    live = await read(connection, table)
    if live is None:
        return [f"table {table} does not exist"]
    types = [_type_name(column) for column in declared.columns]
    with errors_explained(f"compare {table} with its declaration", connection=connection):
        resolved = [row["type"] for row in await connection.fetch(QUERIES["types"], types)]
    problems = list(_unreadable(live))
    key = tuple(column.name for column in declared.primary_key.columns)
    if live.key and key != live.key:
        problems.append(f"the primary key of {table} is ({', '.join(live.key)}), declared is ({', '.join(key)})")
    for column, type_name, resolved_type in zip(declared.columns, types, resolved, strict=True):
        problems.extend(_column_problems(live, column.name, type_name, resolved_type))
    return problems


async def changed(connection: Connection, tables: Sequence[tuple[LiveTable, Collection[str]]]) -> list[bool]:
    """Return, for each table with the columns that are used of it, whether it is another one than it was.

    It is where its name stands for another relation, its primary key is another, or a column's type, or is gone. Within
    a transaction of one snapshot that has locked the tables before, the answer holds for the rows that it reads.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("see whether tables have changed", connection=connection):
        found = await connection.fetch(QUERIES["shapes"], [live.table.sql for live, _ in tables])
    return [
        row["oid"] != live.oid
        or tuple(row["key"]) != live.key
        or not {f"{each.name} {each.declared_type}" for each in live.columns if each.name in used}
        <= set(row["columns"])
        for (live, used), row in zip(tables, found, strict=True)
    ]


async def hold(connection: Connection, tables: Iterable[LiveTable]) -> None:
    """Keep tables from being changed until the transaction ends; as its first statement, it fixes no snapshot yet.

    A snapshot from before an ALTER TABLE that rewrites a table would find it empty.

    Raises:
        SourceError: PostgreSQL cannot be reached, or a table is gone.
    """
    held = dict.fromkeys(live.table for live in tables)
    names = ", ".join(table.sql for table in held)
    schemas = dict.fromkeys(f"USAGE ON SCHEMA {quoted(table.schema)}" for table in held if table.schema is not None)
    with errors_explained(f"lock {names}", connection=connection, privileges=(*schemas, f"SELECT ON {names}")):
        await connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")


def _unreadable(live: LiveTable) -> Iterator[str]:
    """What keeps a table from being read whole, in the order of its key."""
    if not live.key:
        may_have_one = live.kind in {"table", "partitioned table"}
        yield f"{live.table} " + ("has no primary key" if may_have_one else f"is a {live.kind}, without a primary key")
    if live.inherited:
        yield f"{live.table} has children by INHERITS, and a primary key does not hold across them"
    yield from (
        f"column {name} of the primary key of {live.table} may be null"
        for name in live.key
        if (column := live.column(name)) is not None and not column.not_null
    )


def _column_problems(live: LiveTable, name: str, type_name: str | None, resolved: str | None) -> Iterator[str]:
    column = live.column(name)
    if column is None:
        yield f"column {name} of {live.table} does not exist"
    elif type_name is None:
        yield f"column {name} of {live.table} is declared without a type"
    elif resolved is None:
        yield f"column {name} of {live.table} is declared as {type_name}, which is no type of this database"
    elif resolved not in {column.type, column.base_type} and not {resolved, column.base_type} <= _TEXT:
        yield f"column {name} of {live.table} is {column.declared_type}, declared is {type_name}"


def _type_name(column: sa.Column[object]) -> str | None:
    if isinstance(column.type, NullType):
        return None
    return column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call] # SQLAlchemy leaves it so


async def estimated_rows(connection: Connection, live: LiveTable) -> int:
    """Return about how many rows the table has: the planner's figure, or a count where it has none.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not read the table.
    """
    with errors_explained(f"count the rows of {live.table}", connection=connection, table=live.table):
        size = await connection.fetchrow(QUERIES["size"], live.oid)
        if size["bytes"] == 0:
            return 0
        if size["analyzed"] and size["rows"] > 0:
            return int(size["rows"])
        if size["bytes"] <= _COUNTED_BYTES:
            return int(await connection.fetchval(f"SELECT count(*) FROM {live.table.sql}"))  # noqa: S608 - a quoted name
        sampled = f"SELECT count(*) * 100 FROM {live.table.sql} TABLESAMPLE SYSTEM (1)"  # noqa: S608 - a quoted name
        return int(await connection.fetchval(sampled))


def schema_fingerprint(live: LiveTable, columns: Iterable[str]) -> str:
    """Return a stable hash (64 hex digits) of what a mapping depends on: the columns it reads, and the primary key.

    It changes with a column's type, scale, labels or collation and with the key. It does not with other columns, the
    length limit of a `varchar`, or the number of rows.
    """
    used = sorted({*columns, *live.key})
    facts = [_facts(live.column(name), name) for name in used]
    text = json.dumps([str(live.table), live.key, facts], ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _facts(column: LiveColumn | None, name: str) -> list[object]:
    if column is None:
        return [name, None]
    declared = column.base_type if column.base_type in _TEXT else column.declared_type
    return [name, declared, column.base_type, column.collation, column.labels]
