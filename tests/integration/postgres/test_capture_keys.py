"""Keys of every kind are in a mark as they were in the row, whatever the writer's session is set to."""
# ruff: noqa: S608 - the types and names in statements are the tests' own

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.postgres import catalog
from migrator.postgres.identifiers import TableName, quoted
from migrator.postgres.marks import value_expression
from migrator.postgres.rows import RowSource
from tests.integration.postgres.capturing import capture, deleted, inserted, marks, updated
from tests.support.citext import create_citext

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database

TYPES = """
CREATE TYPE mood AS ENUM ('fine', 'it''s "bad"');
CREATE TYPE pair AS (whole int, part double precision);
CREATE TYPE spans AS RANGE (subtype = float8);
CREATE DOMAIN weight AS double precision;
"""
# What a session may be set to that changes how values read, or how a function's text does.
ODD = {
    "DateStyle": "German, DMY",
    "TimeZone": "Asia/Kathmandu",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "backslash_quote": "on",
    "escape_string_warning": "off",
    "plpgsql.variable_conflict": "error",
    "plpgsql.extra_errors": "all",
    "default_transaction_isolation": "serializable",
    "quote_all_identifiers": "on",
}
VALUES = {
    "bigint": ["-9223372036854775808", "7"],
    "smallint": ["-32768"],
    "boolean": ["true", "false"],
    "numeric": ["1.50", "NaN", "Infinity", "-1e-130", "123456789012345678901234567890.123456789"],
    "numeric(8, 3)": ["1.5"],
    "real": ["1.1", "-0", "NaN", "3.4028235e38"],
    "double precision": ["0.1", "-0", "5e-324", "1.7976931348623157e308", "-Infinity", "12345678.123456789"],
    "weight": ["0.30000000000000004"],
    "text": ["", "a\\b'c\"d", "\u00e5\N{GRINNING FACE}", "null"],
    'text COLLATE "C"': ["x"],
    "varchar(5)": ["ab "],
    "char(5)": ["ab"],
    "bpchar": ["ab  "],
    "name": ["n"],
    "uuid": ["00000000-0000-0000-0000-00000000000a"],
    "date": ["2025-03-04", "infinity", "0044-03-15 BC"],
    "timestamp": ["2025-03-04 05:06:07.000001", "-infinity", "0044-03-15 01:02:03 BC"],
    "timestamptz": ["2025-03-30 01:30:00.5+00", "infinity", "0044-03-15 01:02:03+00 BC", "294276-12-31 23:59:59+00"],
    "time": ["24:00", "05:06:07.000001"],
    "timetz": ["05:06:07-15:59"],
    "interval": ["1 year -2 months 3 days -04:05:06.7", "-1 day 1 second", "infinity"],
    "bytea": ["\\x00ff5c27", "\\x"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::1"],
    "cidr": ["10.0.0.0/8"],
    "macaddr": ["08:00:2b:01:02:03"],
    "bit(4)": ["1010"],
    "varbit": ["10101"],
    "money": ["-1234.56"],
    "jsonb": ['"text"', "null", '{"a": [1.10, "x"]}', "1"],
    "int[]": ["{1,NULL,3}", "[0:1]={5,6}"],
    "text[]": ['{"a,b",NULL,"\\"q\\""}'],
    "timestamptz[]": ["{2025-03-30 01:30:00+00,infinity}"],
    "bytea[]": ['{"\\\\x00ff"}'],
    "tstzrange": ["[2025-03-30 01:30:00+00,)"],
    "numrange": ["(1.10,2]"],
    "spans": ["[0.1,0.30000000000000004)"],
    "mood": ["fine", 'it\'s "bad"'],
    "pair": ["(1,0.1)"],
    "citext": ["MiXed"],
    "regclass": ["pg_class"],
}


async def odd_session(database: Database) -> Connection:
    return await asyncpg.connect(database.url, server_settings=ODD)


async def held(session: Connection, table: TableName, document: str) -> list[tuple[str | None, ...]]:
    """What the latest mark holds of each column of a table, as the toolkit's sessions print it; the mark is deleted."""
    live = await catalog.require(session, table)
    values = ", ".join(f"{value_expression(column, document)}::text" for column in live.columns)
    statement = f"WITH m AS (DELETE FROM migrator.marks RETURNING *) SELECT {values} FROM m"
    return [tuple(row) for row in await session.fetch(statement)]


@pytest.mark.parametrize("kind", VALUES)
async def test_a_key_of_each_type(session: Connection, database: Database, kind: str) -> None:
    await session.execute(TYPES)
    await create_citext(session)
    await session.execute(f"CREATE TABLE keyed (k {kind} PRIMARY KEY, n int)")
    await capture(session, "keyed", ["k", "n"])
    table = TableName("keyed")
    source = RowSource(await catalog.require(session, table), [])
    writer = await odd_session(database)
    for text in VALUES[kind]:
        await session.execute("DELETE FROM keyed; DELETE FROM migrator.marks")
        await session.execute(f"INSERT INTO keyed VALUES ($1::text::{kind}, 1)", text)
        printed = await session.fetchval("SELECT k::text FROM keyed")
        await session.execute("DELETE FROM migrator.marks")
        await writer.execute("UPDATE keyed SET n = 1")
        key = await session.fetchval("SELECT row_key ->> 'k' FROM migrator.marks")
        (found,) = await source.by_keys(session, [(key,)])
        assert found is not None
        assert source.key_of(found) == (printed,)
        assert await held(session, table, "row_key") == [(printed, None)]
        await writer.execute("UPDATE keyed SET n = 2")
        assert await held(session, table, "old_key") == [(printed, "1")]
        await writer.execute("DELETE FROM keyed")
        assert await held(session, table, "old_key") == [(printed, "2")]
    await writer.close()


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("citext", "'same'", "'SAME'"),
        ("numeric", "1.0", "1.00"),
        ("double precision", "'0'", "'-0'"),
        ("bpchar", "'a'", "'a '"),
        ("interval", "'24 hours'", "'1 day'"),
        ("json", "'{\"a\": 1}'", "'{\"a\":1}'"),
        ("point", "'(1,2)'", "'(1,3)'"),
    ],
)
async def test_what_is_equal_but_not_the_same_is_a_change(
    session: Connection, kind: str, before: str, after: str
) -> None:
    await session.execute(TYPES)
    await create_citext(session)
    await session.execute(
        f"CREATE TABLE things (id int PRIMARY KEY, k {kind}); INSERT INTO things VALUES (1, {before})"
    )
    await capture(session, "things", ["k"])
    await session.execute("UPDATE things SET id = 1")
    await session.execute(f"UPDATE things SET k = {after}")
    unchanged, changed = await marks(session)
    assert unchanged.old_key is None
    assert changed.old_key is not None
    assert changed.old_key.keys() == {"id", "k"}


async def test_names_that_have_to_be_quoted(session: Connection, database: Database) -> None:
    schema, table, key, other = 'My "own" schema', "Order's $function$ 100%", 'Key "1" \\ new', "select"
    await session.execute(
        f"CREATE SCHEMA {quoted(schema)}; CREATE TABLE {quoted(schema)}.{quoted(table)} "
        f"({quoted(key)} text, {quoted(other)} int, PRIMARY KEY ({quoted(other)}, {quoted(key)}))"
    )
    await capture(session, table, [key], schema)
    writer = await odd_session(database)
    name, source = f"{quoted(schema)}.{quoted(table)}", f"{schema}.{table}"
    await writer.execute(
        f"INSERT INTO {name} VALUES ('a', 1); UPDATE {name} SET {quoted(other)} = 2; DELETE FROM {name}"
    )
    await writer.close()
    assert await marks(session) == [
        inserted(source, **{key: "a", other: "1"}),
        updated(source, {key: "a", other: "1"}, **{key: "a", other: "2"}),
        deleted(source, **{key: "a", other: "2"}),
    ]


async def test_a_name_as_long_as_names_may_be(session: Connection) -> None:
    table = "t" * 63
    await session.execute(f"CREATE TABLE {table} (id int PRIMARY KEY)")
    await capture(session, table)
    await session.execute(f"INSERT INTO {table} VALUES (1)")
    assert await marks(session) == [inserted(f"public.{table}", id="1")]


async def test_generated_columns(session: Connection) -> None:
    await session.execute(
        "CREATE TABLE people (id int PRIMARY KEY, name text, sort text GENERATED ALWAYS AS (lower(name)) STORED);"
        "INSERT INTO people VALUES (1, 'Ada')"
    )
    await capture(session, "people", ["sort"])
    await session.execute("UPDATE people SET name = 'Grace'")
    assert await marks(session) == [updated("public.people", {"id": "1", "sort": "ada"}, id="1")]
    if session.get_server_version().major >= 18:
        await session.execute("ALTER TABLE people ADD shown text GENERATED ALWAYS AS (upper(name)) VIRTUAL")
        with pytest.raises(asyncpg.WrongObjectTypeError, match="shown is a virtual generated column"):
            await capture(session, "people", ["shown"])
