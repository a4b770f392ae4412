"""The source schema as it is, and where it differs from what a mapping declares."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import create_async_engine

from mappings.miyabi.schema import metadata
from migrator.errors import SourceError
from migrator.postgres import catalog
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database

EXOTIC = """
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE DOMAIN code AS varchar(10) CHECK (VALUE <> '');
    CREATE DOMAIN short_code AS code CHECK (length(VALUE) < 5);
    CREATE TABLE exotic (
        gone int,
        "Id" short_code COLLATE "C" NOT NULL,
        part int NOT NULL,
        price numeric(5,2),
        feeling mood DEFAULT 'ok',
        double int GENERATED ALWAYS AS (part * 2) STORED,
        padded char(3),
        tags text[],
        PRIMARY KEY (part, "Id") INCLUDE (price)
    );
    ALTER TABLE exotic DROP COLUMN gone;
"""


async def test_a_table_is_described_as_it_is(session: Connection) -> None:
    await session.execute(EXOTIC)
    live = await catalog.require(session, TableName("exotic"))
    assert live.table == TableName("exotic", "public")
    assert live.kind == "table"
    assert live.key == ("part", "Id")
    described = {
        column.name: (column.declared_type, column.base_type, column.not_null, column.generated)
        for column in live.columns
    }
    assert described == {
        "Id": ("short_code", "character varying", True, False),
        "part": ("integer", "integer", True, False),
        "price": ("numeric(5,2)", "numeric", False, False),
        "feeling": ("mood", "mood", False, False),
        "double": ("integer", "integer", False, True),
        "padded": ("character(3)", "bpchar", False, False),
        "tags": ("text[]", "text[]", False, False),
    }
    key, feeling = live.column("Id"), live.column("feeling")
    assert key is not None
    assert key.collation == '"C"'
    assert feeling is not None
    assert feeling.labels == ("sad", "ok")
    assert live.column("gone") is None


async def test_a_table_is_found_on_the_search_path_or_in_its_schema(session: Connection) -> None:
    await session.execute('CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop"."Orders" (id int PRIMARY KEY)')
    live = await catalog.require(session, TableName("Orders", "My Shop"))
    assert str(live.table) == "My Shop.Orders"
    assert await catalog.read(session, TableName("Orders")) is None
    assert await catalog.read(session, TableName("orders", "My Shop")) is None


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        ("SELECT 1", "table source does not exist"),
        ("CREATE TABLE source (id int)", "source has no primary key"),
        ("CREATE TABLE source (id int UNIQUE NOT NULL)", "source has no primary key"),
        ("CREATE VIEW source AS SELECT 1 AS id", "source is a view, without a primary key"),
        ("CREATE MATERIALIZED VIEW source AS SELECT 1 AS id", "source is a materialized view, without a primary key"),
        ("CREATE TABLE source (id int PRIMARY KEY); CREATE TABLE child () INHERITS (source)", "children by INHERITS"),
    ],
)
async def test_a_table_that_cannot_be_read_by_its_key_is_refused(
    session: Connection, definition: str, says: str
) -> None:
    await session.execute(definition)
    with pytest.raises(SourceError, match=says) as caught:
        await catalog.require(session, TableName("source"))
    assert caught.value.next_step
    declared = sa.Table("source", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    assert any(says in problem for problem in await catalog.compare(session, declared))


async def test_a_table_as_declared_has_no_difference(session: Connection) -> None:
    await session.execute(EXOTIC)
    declared = sa.Table(
        "exotic",
        sa.MetaData(),
        sa.Column("Id", sa.Text),
        sa.Column("part", sa.Integer),
        sa.Column("price", sa.Numeric(9, 4)),
        sa.Column("feeling", pg.ENUM("sad", "ok", name="mood")),
        sa.Column("padded", sa.CHAR(3)),
        sa.Column("tags", pg.ARRAY(sa.Text)),
        sa.PrimaryKeyConstraint("part", "Id"),
    )
    assert await catalog.compare(session, declared) == []


async def test_each_difference_is_a_sentence(session: Connection) -> None:
    await session.execute("CREATE TABLE source (a int, b text, at timestamp, doc json, n bigint, PRIMARY KEY (b, a))")
    declared = sa.Table(
        "source",
        sa.MetaData(),
        sa.Column("a", sa.Integer, primary_key=True),
        sa.Column("b", sa.String(9), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True)),
        sa.Column("doc", pg.JSONB),
        sa.Column("n", sa.Integer),
        sa.Column("feeling", pg.ENUM("sad", name="mood")),
        sa.Column("missing", sa.Text),
        sa.Column("untyped"),
        sa.Column("level", pg.ENUM("low", name="level")),
        schema="public",
    )
    await session.execute("ALTER TABLE source ADD untyped int, ADD level text")
    assert await catalog.compare(session, declared) == [
        "the primary key of public.source is (b, a), declared is (a, b)",
        "column at of public.source is timestamp without time zone, declared is TIMESTAMP WITH TIME ZONE",
        "column doc of public.source is json, declared is JSONB",
        "column n of public.source is bigint, declared is INTEGER",
        "column feeling of public.source does not exist",
        "column missing of public.source does not exist",
        "column untyped of public.source is declared without a type",
        "column level of public.source is declared as level, which is no type of this database",
    ]


def test_the_reference_schema_is_as_declared_once_it_is_created(database: Database) -> None:
    async def problems() -> list[str]:
        engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            raw = await connection.get_raw_connection()
            found = [
                problem
                for table in metadata.sorted_tables
                for problem in await catalog.compare(raw.driver_connection, table)
            ]
        await engine.dispose()
        return found

    assert len(metadata.sorted_tables) == 11
    assert asyncio.run(problems()) == []


async def fingerprint(session: Connection) -> str:
    live = await catalog.require(session, TableName("exotic"))
    return catalog.schema_fingerprint(live, ["price", "feeling", "tags"])


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE exotic ALTER price TYPE numeric(7,3)",
        "ALTER TABLE exotic ALTER tags TYPE varchar(5)[]",
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
        "ALTER TABLE exotic DROP COLUMN tags",
        'ALTER TABLE exotic ALTER "Id" TYPE short_code COLLATE "POSIX"',
        'ALTER TABLE exotic DROP CONSTRAINT exotic_pkey, ADD PRIMARY KEY ("Id")',
    ],
)
async def test_the_fingerprint_changes_with_what_a_mapping_depends_on(session: Connection, change: str) -> None:
    await session.execute(EXOTIC)
    before = await fingerprint(session)
    await session.execute(change)
    assert await fingerprint(session) != before


@pytest.mark.parametrize(
    "change",
    [
        "SELECT 1",
        "ALTER TABLE exotic ADD COLUMN extra text",
        "ALTER TABLE exotic DROP COLUMN padded",
        "INSERT INTO exotic VALUES ('a', 1)",
        "CREATE INDEX ON exotic (price)",
    ],
)
async def test_the_fingerprint_stays_with_what_a_mapping_does_not_see(session: Connection, change: str) -> None:
    await session.execute(EXOTIC)
    before = await fingerprint(session)
    await session.execute(change)
    assert await fingerprint(session) == before


async def test_the_length_limit_of_a_varchar_is_no_change(session: Connection) -> None:
    await session.execute("CREATE TABLE exotic (id int PRIMARY KEY, price varchar(5))")
    before = await fingerprint(session)
    await session.execute("ALTER TABLE exotic ALTER price TYPE varchar(50)")
    assert await fingerprint(session) == before


@pytest.mark.parametrize("partitioned", [False, True])
async def test_rows_are_estimated_with_and_without_statistics(session: Connection, *, partitioned: bool) -> None:
    if partitioned:
        await session.execute(
            """CREATE TABLE source (id int PRIMARY KEY) PARTITION BY RANGE (id);
               CREATE TABLE low PARTITION OF source FOR VALUES FROM (0) TO (1000);
               CREATE TABLE high PARTITION OF source FOR VALUES FROM (1000) TO (100000)"""
        )
    else:
        await session.execute("CREATE TABLE source (id int PRIMARY KEY)")
    live = await catalog.require(session, TableName("source"))
    assert await catalog.estimated_rows(session, live) == 0
    await session.execute("INSERT INTO source SELECT generate_series(1, 3000)")
    assert await catalog.estimated_rows(session, live) == 3000
    await session.execute("ANALYZE")
    assert await catalog.estimated_rows(session, live) == 3000


async def test_rows_of_a_big_table_without_statistics_are_estimated_from_a_sample(session: Connection) -> None:
    await session.execute(
        """CREATE TABLE source (id int PRIMARY KEY, filler char(900) DEFAULT 'x') WITH (autovacuum_enabled = off);
           ALTER TABLE source ALTER filler SET STORAGE PLAIN;
           INSERT INTO source SELECT generate_series(1, 80000)"""
    )
    live = await catalog.require(session, TableName("source"))
    assert 40_000 < await catalog.estimated_rows(session, live) < 160_000
