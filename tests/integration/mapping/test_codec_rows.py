"""What concerns more than one value: a database's own settings, generated columns, JSON null, types without a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import BigInteger, Column, Computed, Integer, MetaData, Text
from sqlalchemy import Table as SourceTable
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import (
    ABSENT,
    NATURAL,
    NULL,
    TEXT,
    Attribute,
    Entity,
    Form,
    Inverse,
    Item,
    Model,
    Null,
    S,
    Table,
    lint,
)
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import quoted
from tests.integration.mapping.codec_cases import SCALARS, TIMESTAMPTZ, Case
from tests.support.round_trip import SAME_TEXT, differences, encoded, restored, stored
from tests.support.target import Target, create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.types import TypeEngine

    from migrator.dynamodb import Client
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database, DynamoDBStore

SETTINGS = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "quote_all_identifiers": "on",
}
SENSITIVE: dict[str, tuple[str, TypeEngine[Any], str]] = {
    "moment": ("timestamp with time zone", TIMESTAMPTZ, "2025-11-29 10:30:00.5+00"),
    "day": ("date", pg.DATE(), "2025-11-02"),
    "span": ("interval", pg.INTERVAL(), "-1 year +2 days -04:05:06.7"),
    "third": ("double precision", pg.DOUBLE_PRECISION(), "0.3333333333333333"),
    "third_real": ("real", pg.REAL(), "0.33333334"),
    "thirds": ("real[]", pg.ARRAY(pg.REAL()), "{0.33333334}"),
    "raw": ("bytea", pg.BYTEA(), "\\x5c00ff"),
    "raws": ("bytea[]", pg.ARRAY(pg.BYTEA()), '{"\\\\x5c00ff"}'),
    "span_of_time": ("tstzrange", pg.TSTZRANGE(), "[2025-11-29 10:30:00+00,2025-11-30 10:30:00+00)"),
    "price": ("money", pg.MONEY(), "1234.56"),
}


@pytest.fixture(scope="module")
def target(each_dynamodb: DynamoDBStore) -> Target:
    return create(each_dynamodb, Table(each_dynamodb.table_name(), S("PK"), envelope="Data"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(target: Target) -> AsyncIterator[Client]:
    async with target.client() as client:
        yield client


@pytest.mark.asyncio(loop_scope="module")
async def test_no_setting_of_a_database_changes_an_item(database: Database) -> None:
    source = SourceTable(
        "source",
        MetaData(),
        Column("id", Integer, primary_key=True),
        *(Column(name, declared) for name, (_, declared, _) in SENSITIVE.items()),
    )
    entity = Entity(
        "SENSITIVE",
        source,
        Table("any", S("PK")),
        [Item("ROW#{id}")],
        attributes=[Attribute(name, source.c[name], form=TEXT if name == "price" else NATURAL) for name in SENSITIVE],
    )
    session = await connect(database.url, purpose="test")
    columns = ", ".join(f"{name} {kind}" for name, (kind, _, _) in SENSITIVE.items())
    values = ", ".join(f"$1[{number}]::{kind}" for number, (kind, _, _) in enumerate(SENSITIVE.values(), 1))
    await session.execute(f"CREATE TABLE source (id integer PRIMARY KEY, {columns})")
    await session.execute(
        f"INSERT INTO source SELECT 1, {values}".replace("$1[", "($1::text[])["),
        [text for _, _, text in SENSITIVE.values()],
    )
    before = await encoded(session, entity)
    for name, value in SETTINGS.items():
        await session.execute(f"ALTER DATABASE {quoted(urlsplit(database.url).path[1:])} SET {name} = '{value}'")
    await session.close()

    unpinned = await asyncpg.connect(database.url)
    assert await unpinned.fetchval("SELECT moment::text FROM source") == "29.11.2025 16:15:00.5 +0545"
    await unpinned.close()
    session = await connect(database.url, purpose="test")
    after = await encoded(session, entity)
    await session.close()
    assert before.failures == after.failures == []
    assert before.items == after.items


@pytest.mark.asyncio(loop_scope="module")
async def test_a_generated_column_is_stored_and_generated_again(
    connection: Connection, client: Client, target: Target
) -> None:
    await connection.execute(
        "CREATE TABLE source (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, "
        "folded text GENERATED ALWAYS AS (lower(name)) STORED)"
    )
    await connection.execute("INSERT INTO source (name) VALUES ('Ada'), ('GRACE'), ('')")
    source = SourceTable(
        "source",
        MetaData(),
        Column("id", BigInteger, primary_key=True),
        Column("name", Text, nullable=False),
        Column("folded", Text, Computed("lower(name)", persisted=True)),
    )
    attributes = [Attribute("name", source.c.name), Attribute("folded", source.c.folded)]
    entity = Entity("GENERATED", source, target.table, [Item("NAME#{id}")], data=attributes)
    assert lint(Model("rows", [entity])) == []
    assert Inverse(entity).columns == ("id", "name")

    items = await stored(client, entity, (await encoded(connection, entity)).items)
    assert sorted(item["Data"]["M"]["folded"]["S"] for item in items) == ["", "ada", "grace"]
    await restored(connection, entity, items, "restored")
    assert await differences(connection, entity, "restored") == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("type_name", ["json", "jsonb"])
@pytest.mark.parametrize(
    ("null", "form", "refused"),
    [(ABSENT, NATURAL, False), (ABSENT, TEXT, False), (NULL, TEXT, False), (NULL, NATURAL, True)],
    ids=str,
)
async def test_json_null_and_sql_null_are_never_merged(  # noqa: PLR0913 - two stores and what the case consists of
    connection: Connection, client: Client, target: Target, type_name: str, null: Null, form: Form, *, refused: bool
) -> None:
    await connection.execute(f"CREATE TABLE source (id integer PRIMARY KEY, value {type_name})")
    await connection.execute("INSERT INTO source VALUES (1, NULL), (2, 'null'), (3, '{\"a\": null}'), (4, '[null]')")
    declared = pg.JSONB() if type_name == "jsonb" else pg.JSON()
    source = SourceTable("source", MetaData(), Column("id", Integer, primary_key=True), Column("value", declared))
    attributes = [Attribute("value", source.c.value, form=form)]
    entity = Entity("NULLS", source, target.table, [Item("NULLS#{id}")], data=attributes, null=null)
    encoding = await encoded(connection, entity)
    if refused:
        (failure,) = encoding.failures
        assert (failure.key, failure.column) == (("2",), "value")
        assert "null=ABSENT" in str(failure.policy)
        assert "form=TEXT" in str(failure.policy)
        await connection.execute("DELETE FROM source WHERE id = 2")
    else:
        assert encoding.failures == []
    items = await stored(client, entity, encoding.items)
    await restored(connection, entity, items, "restored")
    assert await differences(connection, entity, "restored", {"value": SAME_TEXT}) == []


@pytest.mark.parametrize("case", [case for case in SCALARS if case.form is TEXT], ids=str)
def test_a_type_without_a_natural_form_is_refused_by_lint(case: Case) -> None:
    source = SourceTable("source", MetaData(), Column("id", Integer, primary_key=True), Column("value", case.declared))
    entity = Entity(
        "VALUE", source, Table("any", S("PK")), [Item("{id}")], attributes=[Attribute("value", source.c.value)]
    )
    (problem,) = lint(Model("rows", [entity]))
    assert problem.severity == "error"
    assert "source.value" in problem.sentence
    assert "form=TEXT" in problem.sentence
