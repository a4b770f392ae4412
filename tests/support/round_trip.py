"""A row's way to DynamoDB and back: read, encoded on both paths, stored, read again, inverted, inserted, compared.

PostgreSQL itself is the judge: nothing here decides whether two values are the same.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.dynamodb import BatchWriter, batch_get
from migrator.mapping import Encoder, Inverse, Unencodable, claims, forward
from migrator.mapping.number import canonical
from migrator.postgres import catalog
from migrator.postgres.identifiers import TableName, quoted
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from migrator.dynamodb import Client
    from migrator.mapping import AttributeValue, Entity, Row, RowValue, WireItem
    from migrator.postgres.connection import Connection, Record

ALL_ROWS = 10_000

SAME = "({0} IS NOT DISTINCT FROM {1}) AND ({0}::text IS NOT DISTINCT FROM {1}::text)"
SAME_VALUE = "{0} IS NOT DISTINCT FROM {1}"
SAME_TEXT = "{0}::text IS NOT DISTINCT FROM {1}::text"
SAME_DOCUMENT = "{0}::jsonb IS NOT DISTINCT FROM {1}::jsonb"
SAME_MEMBERS = (
    "ARRAY(SELECT unnest({0}) ORDER BY 1) IS NOT DISTINCT FROM ARRAY(SELECT unnest({1}) ORDER BY 1) "
    "AND ({0} IS NULL) = ({1} IS NULL)"
)


@dataclass(frozen=True)
class Encoding:
    """What the rows of a table became: items as JSON text, and the rows that have none."""

    items: list[bytes]
    failures: list[Unencodable]


async def source_of(connection: Connection, entity: Entity) -> RowSource:
    """The entity's table, read as the entity's projection wants it."""
    live = await catalog.require(connection, TableName(entity.source.name, entity.source.schema))
    return RowSource(live, entity.projection)


async def encoded(connection: Connection, entity: Entity) -> Encoding:
    """Encode every row of the entity's table, and see that the compiled encoder and the readable path agree."""
    source = await source_of(connection, entity)
    page = await source.page(connection, None, None, ALL_ROWS)
    compiled = Encoder(entity, trailing=len(entity.key_columns)).encode(page.records)
    items, failures = _readable(entity, page.records)
    assert comparable(map(json.loads, compiled.items)) == comparable(items)
    assert sorted(map(str, compiled.failures)) == sorted(map(str, failures))
    return Encoding(compiled.items, compiled.failures)


def _readable(entity: Entity, records: Iterable[Record]) -> tuple[list[WireItem], list[Unencodable]]:
    names = [projected.name for projected in entity.projection]
    items: list[WireItem] = []
    failures: list[Unencodable] = []
    for record in records:
        try:
            items += forward(entity, dict(zip(names, record, strict=False)))
        except Unencodable as failure:
            failures.append(failure)
    return items, failures


async def store(client: Client, entity: Entity, items: Sequence[bytes]) -> None:
    """Write items; DynamoDB takes each of them."""
    written = await BatchWriter(client, entity.table.name).write(items)
    assert written.refused == []


async def stored(client: Client, entity: Entity, items: Sequence[bytes]) -> list[WireItem]:
    """Write items and return what DynamoDB gives back for their keys, which are Strings.

    MiniStack finds no item by a Number key that is written otherwise than it writes it itself (`1.50` for `1.5`).
    """
    await store(client, entity, items)
    names = [attribute.name for attribute in entity.table.key_attributes]
    keys = [{name: item[name] for name in names} for item in map(json.loads, items)]
    found = await batch_get(client, entity.table.name, keys)
    assert len(found) == len(items)
    return found


def rows_of(entity: Entity, items: Iterable[WireItem]) -> list[Row]:
    """The rows of items, which may stand in any order; the items of a row are found by their keys."""
    by_row: dict[tuple[str, ...] | None, list[WireItem]] = defaultdict(list)
    for item in items:
        (claim,) = claims([entity], item)
        by_row[claim.row_key].append(item)
    inverse = Inverse(entity)
    return [inverse.row(each) for each in by_row.values()]


async def insert(connection: Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows, every value as text that PostgreSQL casts to the column's type."""
    live = await catalog.require(connection, TableName(table))
    types = {column.name: column.declared_type for column in live.columns}
    for row in rows:
        names = ", ".join(map(quoted, row))
        casts = ", ".join(f"${number}::text::{types[name]}" for number, name in enumerate(row, 1))
        statement = f"INSERT INTO {quoted(table)} ({names}) OVERRIDING SYSTEM VALUE VALUES ({casts})"  # noqa: S608 - quoted names
        await connection.execute(statement, *map(text_of, row.values()))


def text_of(value: RowValue) -> str | None:
    """A row's value as text that PostgreSQL reads."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case bytes():
            return f"\\x{value.hex()}"
        case list():
            return f"{{{','.join(map(_element_text, value))}}}"
    return str(value)


def _element_text(value: RowValue) -> str:
    text = text_of(value)
    if text is None:
        return "NULL"
    if isinstance(value, list):
        return text
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


async def restored(connection: Connection, entity: Entity, items: Iterable[WireItem], into: str) -> None:
    """Create a table like the entity's source and fill it with the rows that the items give."""
    await connection.execute(f"CREATE TABLE {quoted(into)} (LIKE {quoted(entity.source.name)} INCLUDING ALL)")
    await insert(connection, into, rows_of(entity, items))


async def differences(
    connection: Connection, entity: Entity, other: str, judges: Mapping[str, str] | None = None
) -> list[tuple[str, ...]]:
    """Where two tables differ: key, column, and both values as PostgreSQL prints them.

    Args:
        connection: A session on the source.
        entity: Its source is the one table.
        other: The other table.
        judges: By column, the SQL that is true of two values that are the same; `SAME` where none is given.
    """
    key = ", ".join(map(quoted, entity.key_columns))
    found: list[tuple[str, ...]] = []
    for column in entity.source.columns:
        values = (f"a.{quoted(column.name)}", f"b.{quoted(column.name)}")
        judge = (judges or {}).get(column.name, SAME).format(*values)
        statement = (
            f"SELECT ({key})::text, '{column.name}', {values[0]}::text, {values[1]}::text "  # noqa: S608 - quoted names
            f"FROM {quoted(entity.source.name)} AS a FULL JOIN {quoted(other)} AS b USING ({key}) "
            f"WHERE ({judge}) IS NOT TRUE"
        )
        found += [tuple(record) for record in await connection.fetch(statement)]
    return found


def comparable(items: Iterable[WireItem]) -> list[str]:
    """Items in a form and an order in which two collections of them can be compared."""
    return sorted(json.dumps({name: _normal(value) for name, value in item.items()}, sort_keys=True) for item in items)


def _normal(value: AttributeValue) -> Any:  # noqa: ANN401 - whatever an attribute holds
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return ["N", canonical(content)]
        case "SS" | "BS":
            return [kind, sorted(content)]
        case "NS":
            return [kind, sorted(map(canonical, content))]
        case "L":
            return ["L", [_normal(member) for member in content]]
        case "M":
            return ["M", {name: _normal(member) for name, member in content.items()}]
    return [kind, content]
