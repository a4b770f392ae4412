"""Columns in keys: every row has an item of its own, whose key names the row again and sorts as PostgreSQL sorts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import (
    CHAR,
    DATE,
    NUMERIC,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    Uuid,
)
from sqlalchemy import Table as SourceTable
from sqlalchemy.dialects import postgresql as pg

from migrator.dynamodb import query
from migrator.mapping import (
    Entity,
    Item,
    KeyAttribute,
    Model,
    S,
    Table,
    claims,
    lint,
    owned_keys,
)
from tests.integration.mapping.codec_cases import CREATE_MOOD, MOOD, TIMESTAMPTZ
from tests.support.citext import create_citext
from tests.support.round_trip import (
    ALL_ROWS,
    SAME,
    SAME_VALUE,
    comparable,
    differences,
    encoded,
    restored,
    source_of,
    store,
)
from tests.support.target import Target, create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sqlalchemy.types import TypeEngine

    from migrator.dynamodb import Client
    from migrator.mapping import WireItem
    from migrator.mapping.table import KeyType
    from migrator.postgres.connection import Connection, Record
    from migrator.postgres.rows import RowSource
    from tests.support.stores import DynamoDBStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

KINDS: tuple[KeyType, ...] = ("S", "N", "B")


@dataclass(frozen=True)
class Case:
    """A type of column as a sort key.

    Attributes:
        type: the type in SQL.
        declared: the type in the mapping's table.
        template: the key template; its attribute's type is the first part of `key`.
        values: the rows' values as SQL, no two of them equal.
        refused: values that have no key.
        key: the key attribute's type.
        ordered: whether the key sorts as the values do.
        same: the SQL that judges two values.
        setup: statements that make the type.
    """

    type: str
    declared: TypeEngine[Any]
    template: str
    values: tuple[str, ...]
    refused: tuple[str, ...] = ()
    key: KeyType = "S"
    ordered: bool = True
    same: str = SAME
    setup: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.type} {self.template} {self.key}".replace("{", "(").replace("}", ")")


WORDS = (
    *("'a'", "'A'", "'ab'", "'a b'", "' '", "'a '", "'a#b'", "'a%23b'", "'%'", "'#'", "'{}'", "'\"'", "'\\'", "E'\\n'"),
    *(
        "'café'",
        "'cafe\u0301'",
        "'\u212b'",
        "'\u00c5'",
        "'A\u030a'",
        "'ß'",
        "'ss'",
        "'日本'",
        "'\ufffd'",
        "'\U0001f680'",
    ),
    *("repeat('x', 1000)", "repeat('é', 500)", "E'\\u0001'", "E'\\u007f'"),
)
INSTANTS = (
    *("'2025-11-29 10:30:00+00'", "'2025-11-29 10:30:00.5+00'", "'2025-11-29 10:30:00.000001+00'"),
    *("'1969-12-31 23:59:59.999999+00'", "'0001-01-01 00:00:00+00'", "'9999-12-31 23:59:59.999999+00'"),
    *("'2025-11-29 10:30:00.49+00'", "'2025-11-29 19:29:59+09'"),
)
UNSTATED = ("'infinity'", "'-infinity'", "'0044-03-15 BC'", "'10000-01-01'")

CASES = (
    Case('text COLLATE "C"', Text(), "T#{value}", (*WORDS, "''"), ("repeat('x', 1023)", "repeat('é', 512)")),
    Case('text COLLATE "C"', Text(), "{value}", WORDS, ("''", "repeat('x', 1025)", "repeat('é', 513)")),
    Case('text COLLATE "C"', Text(), "T#{value:escape}#END", (*WORDS[:-4], "''"), ("repeat('%', 340)",), ordered=False),
    Case('character(5) COLLATE "C"', CHAR(5), "{value}", ("'a'", "'ab'", "'b   '", "'abcde'", "''")),
    Case("integer", Integer(), "{value:010}", ("0", "1", "10", "9", "2147483647"), ("-1",)),
    Case("bigint", BigInteger(), "{value:019}", ("0", "20", "3", "9223372036854775807"), ("-9223372036854775808",)),
    Case("integer", Integer(), "I#{value:unordered}", ("0", "-1", "10", "9", "-2147483648"), ordered=False),
    Case("bigint", BigInteger(), "{value}", ("-9223372036854775808", "-1", "0", "9", "10"), key="N"),
    Case(
        "numeric",
        NUMERIC(),
        "{value}",
        ("-9.99e125", "-1.50", "-1e-130", "0.00", "1e-130", "0.1", "1.5", "2", "12345678901234567890", "9.99e125"),
        ("'NaN'", "'Infinity'", "1e126", "1e-131"),
        key="N",
        same=SAME_VALUE,
    ),
    Case("boolean", Boolean(), "{value}", ("true", "false")),
    Case(
        "uuid", Uuid(), "{value}", ("'FFFFFFFF-0000-4000-8000-000000000000'", *(f"md5('{n}')::uuid" for n in range(9)))
    ),
    Case("date", DATE(), "{value}", ("'2025-11-29'", "'0001-01-01'", "'9999-12-31'", "'1969-12-31'"), UNSTATED),
    Case("timestamp with time zone", TIMESTAMPTZ, "{value:micros}", INSTANTS, UNSTATED),
    Case("timestamp with time zone", TIMESTAMPTZ, "{value:epoch}", INSTANTS, UNSTATED, key="N"),
    Case("timestamp without time zone", TIMESTAMP(), "{value:micros}", INSTANTS, UNSTATED),
    Case("timestamp without time zone", TIMESTAMP(), "{value:epoch}", INSTANTS, UNSTATED, key="N"),
    Case(
        "bytea",
        LargeBinary(),
        "{value}",
        ("'\\x00'", "'\\x0000'", "'\\x01'", "'\\x7f'", "'\\x80'", "'\\xff'", "'\\xff00'", "'\\x00ff'"),
        ("''", "repeat('x', 1025)::bytea"),
        key="B",
    ),
    Case("mood", MOOD, "{value:unordered}", ("'happy'", "'it''s so-so'"), ordered=False, setup=(CREATE_MOOD,)),
    Case("inet", pg.INET(), "{value:unordered}", ("'10.0.0.1'", "'10.0.0.1/8'", "'::1'"), ordered=False),
    Case("interval", pg.INTERVAL(), "{value:unordered}", ("'1 mon'", "'31 days'", "'-1 mon +1 day'"), ordered=False),
    Case("time", pg.TIME(), "{value:unordered}", ("'24:00'", "'00:00'", "'10:30:00.5'"), ordered=False),
    Case("int4range", pg.INT4RANGE(), "{value:unordered}", ("'empty'", "'[1,3)'", "'(,)'"), ordered=False),
    Case(
        "word",
        pg.DOMAIN("word", Text()),
        "{value}",
        ("'b'", "'a'"),
        setup=("CREATE DOMAIN word AS text COLLATE \"C\" CHECK (VALUE <> '')",),
    ),
)


@pytest.fixture(scope="module")
def tables(each_dynamodb: DynamoDBStore) -> dict[str, Target]:
    """A table for each type of sort key."""
    return {
        kind: create(each_dynamodb, Table(each_dynamodb.table_name(kind), S("PK"), KeyAttribute("SK", kind)))
        for kind in KINDS
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tables: dict[str, Target]) -> AsyncIterator[Client]:
    async with tables["S"].client() as client:
        yield client


def entity_of(case: Case, table: Table) -> Entity:
    source = SourceTable("source", MetaData(), Column("value", case.declared, primary_key=True))
    return Entity("KEYED", source, table, [Item(str(case), case.template)])


async def insert(connection: Connection, case: Case, values: Sequence[str]) -> None:
    for statement in case.setup:
        await connection.execute(statement)
    await connection.execute(f"CREATE TABLE source (value {case.type} PRIMARY KEY)")
    for value in values:
        await connection.execute(f"INSERT INTO source VALUES ({value})")  # noqa: S608 - the case's own SQL


async def in_order(client: Client, entity: Entity) -> list[WireItem]:
    """The items of the entity's one partition, in the order of their sort key, over several pages."""
    request = {
        "TableName": entity.table.name,
        "KeyConditionExpression": "PK = :partition",
        "ExpressionAttributeValues": {":partition": {"S": entity.items[0].partition_key}},
        "Limit": 4,
    }
    return [item async for page in query(client, request) for item in page.items]


async def named(connection: Connection, source: RowSource, entity: Entity, items: Sequence[WireItem]) -> list[Record]:
    """The row that each item's key names, as it is now."""
    keys = [claim.row_key or () for item in items for claim in claims([entity], item)]
    assert len(keys) == len(items)
    return [record for record in await source.by_keys(connection, keys) if record is not None]


def own(entity: Entity, record: Record) -> WireItem:
    """The key of the one item that a row owns."""
    names = [projected.name for projected in entity.projection]
    (key,) = owned_keys(entity, dict(zip(names, record, strict=False)))
    return key


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_key_names_its_row_and_sorts_as_the_row_does(
    connection: Connection, client: Client, tables: dict[str, Target], case: Case
) -> None:
    await insert(connection, case, case.values)
    entity = entity_of(case, tables[case.key].table)
    assert lint(Model("keys", [entity])) == []
    encoding = await encoded(connection, entity)
    assert encoding.failures == []
    await store(client, entity, encoding.items)

    items = await in_order(client, entity)
    source = await source_of(connection, entity)
    rows = await named(connection, source, entity, items)
    assert comparable(own(entity, row) for row in rows) == comparable(items)
    if case.ordered:
        page = await source.page(connection, None, None, ALL_ROWS)
        assert list(map(source.key_of, rows)) == list(map(source.key_of, page.records))
    await restored(connection, entity, items, "restored")
    assert await differences(connection, entity, "restored", {"value": case.same}) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=str)
async def test_a_value_without_a_key_is_refused_by_name(connection: Connection, case: Case) -> None:
    await insert(connection, case, [*case.values[:1], *case.refused])
    entity = entity_of(case, Table("any", S("PK"), KeyAttribute("SK", case.key)))
    encoding = await encoded(connection, entity)
    source = await source_of(connection, entity)
    rows = {source.key_of(row) for row in (await source.page(connection, None, None, ALL_ROWS)).records}
    assert len(encoding.items) == 1
    assert len(encoding.failures) == len(case.refused)
    assert {(failure.table, failure.column) for failure in encoding.failures} == {("source", "value")}
    assert {failure.key for failure in encoding.failures} < rows


@pytest.mark.parametrize(
    ("declared", "before", "after"),
    [(pg.INTERVAL(), "1 mon", "30 days"), (pg.CITEXT(), "Grace", "GRACE")],
    ids=str,
)
async def test_a_key_that_compares_equal_and_is_written_otherwise_is_another_key(
    connection: Connection, declared: TypeEngine[Any], before: str, after: str
) -> None:
    """The row that an old key names is found, for PostgreSQL thinks them equal. It does not own the old item."""
    await create_citext(connection)
    case = Case(str(declared), declared, "{value:unordered}", (f"'{before}'",))
    await insert(connection, case, case.values)
    entity = entity_of(case, Table("any", S("PK"), KeyAttribute("SK", "S")))
    source = await source_of(connection, entity)
    (old,) = (await source.page(connection, None, None, ALL_ROWS)).records
    key = own(entity, old)

    await connection.execute(f"UPDATE source SET value = '{after}' WHERE value = '{after}'")  # noqa: S608 - as above
    (now,) = await named(connection, source, entity, [key])
    assert source.key_of(now) != source.key_of(old)
    assert own(entity, now) != key
