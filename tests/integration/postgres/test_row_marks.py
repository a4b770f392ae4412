"""Marks are found by the keys of rows, whatever the types, and as nobody else works on them."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from migrator.errors import UsageError
from migrator.mapping.forward import key_text
from migrator.postgres import capture, catalog, pending, row_marks, state
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.postgres.connection import Connection
    from migrator.postgres.row_marks import MarkSearch
    from tests.support.stores import Database

TABLE = TableName("things")
EAST = dt.timezone(dt.timedelta(hours=9, minutes=30))
KEYS: list[tuple[str, Any]] = [
    ("bigint", -(2**63)),
    ("smallint", 7),
    ("numeric(8, 2)", Decimal("1.5")),
    ("numeric", Decimal("1E+3")),
    ("boolean", True),
    ("bytea", b"\x00\xff"),
    ("text", 'it\'s \\ "so" {1,2}'),
    ("varchar(9)", ""),
    ("char(5)", "ab"),
    ("uuid", uuid.UUID(int=5)),
    ("date", dt.date(2025, 11, 29)),
    ("time", dt.time(10, 30, 0, 500)),
    ("timestamp", dt.datetime(2025, 11, 29, 10, 30, 0, 120000)),  # noqa: DTZ001 - a timestamp without a zone
    ("timestamptz", dt.datetime(2025, 11, 29, 10, 30, tzinfo=EAST)),
    ("timestamptz(0)", dt.datetime(2025, 11, 29, 10, 30, 0, 400000, tzinfo=EAST)),
    ("double precision", 0.1),
    ("inet", "10.0.0.1"),
    ("colour", "green"),
]


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Connection]:
    session = await connect(database.url, purpose="test")
    await state.install(session)
    await session.execute("CREATE TYPE colour AS ENUM ('red', 'green')")
    yield session
    await session.close()


async def captured(session: Connection, key: str) -> MarkSearch:
    await session.execute(f"CREATE TABLE things ({key}, note text)")
    for statement in capture.create_statements(TABLE):
        await session.execute(statement)
    return await row_marks.search(session, await catalog.require(session, TABLE))


@pytest.mark.parametrize(("kind", "value"), KEYS, ids=[kind for kind, _ in KEYS])
async def test_a_key_of_any_type_is_found(session: Connection, kind: str, value: object) -> None:
    search = await captured(session, f"id {kind} PRIMARY KEY")
    text = key_text(value)
    await session.execute("SET timezone = 'Asia/Tokyo'")
    await session.execute(f"INSERT INTO things VALUES ($1::text::{kind})", text)  # noqa: S608 - a type of KEYS
    await session.execute("UPDATE things SET note = 'changed'")
    await session.execute("DELETE FROM things")
    await session.execute("SET timezone = 'UTC'")
    async with row_marks.claimed(session, {search: [(text,)]}, 100) as rows:
        assert [mark.operation for mark in rows.claim.marks] == ["insert", "update", "delete"]
        assert rows.found == {"public.things": {0}}


async def test_a_key_of_several_columns_among_others(session: Connection) -> None:
    search = await captured(session, "b text, a bigint, PRIMARY KEY (a, b)")
    await session.execute("INSERT INTO things SELECT 'b' || i % 2, i FROM generate_series(1, 6) AS i")
    async with row_marks.claimed(session, {search: [("3", "b1"), ("3", "b0"), ("4", "b0")]}, 100) as rows:
        assert rows.found == {"public.things": {0, 2}}
        await rows.claim.settle([mark.id for mark in rows.claim.marks], {})
    assert (await pending.backlog(session, ["public.things"])).waiting == 4


async def test_marks_out_of_the_window_and_those_of_others_are_left(session: Connection, database: Database) -> None:
    search = await captured(session, "id bigint PRIMARY KEY")
    await session.execute("INSERT INTO things SELECT i FROM generate_series(1, 20) AS i")
    keys = [(str(number),) for number in range(1, 21)]
    async with row_marks.claimed(session, {search: keys}, 5) as rows:
        assert rows.found == {"public.things": {15, 16, 17, 18, 19}}
        other = await connect(database.url, purpose="test")
        async with row_marks.claimed(other, {search: keys}, 7) as theirs:
            assert theirs.found == {"public.things": {13, 14}}
        await other.close()


async def test_a_key_that_cannot_be_read_is_told_of_without_its_value(session: Connection) -> None:
    search = await captured(session, "id bigint PRIMARY KEY")
    await session.execute("INSERT INTO things VALUES (12)")
    with pytest.raises(UsageError) as refused:
        async with row_marks.claimed(session, {search: [("12",), ("secret",)]}, 5):
            pass
    assert "public.things" in str(refused.value)
    assert "secret" not in str(refused.value)
