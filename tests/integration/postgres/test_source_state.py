"""The toolkit's own schema: installed once, by version."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.errors import ConfigurationError, SourceError
from migrator.mapping import KeyAttribute
from migrator.mapping.testimony import key_line, key_of_line
from migrator.postgres import state, tombstones
from migrator.postgres.checkpoints import CopyLog, Counts
from migrator.postgres.connection import connect, pool
from migrator.postgres.identifiers import TableName
from migrator.postgres.marks import SetAside

if TYPE_CHECKING:
    from migrator.mapping import WireItem
    from migrator.postgres.connection import Connection, Pool
    from tests.support.stores import Database


async def test_the_schema_is_installed_once(session: Connection) -> None:
    assert await state.installed_version(session) == 0
    assert await state.install(session) is True
    assert await state.installed_version(session) == state.LATEST
    assert await state.install(session) is False
    await state.require(session)


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ([{"S": 'USER#"é\\'}, {"S": "METADATA"}], {"PK": {"S": 'USER#"é\\'}, "SK": {"S": "METADATA"}}),
        ([{"S": "a\0b"}, {"S": ""}], {"PK": {"S": "a\0b"}, "SK": {"S": ""}}),
        ([{"N": "-12.5"}], {"PK": {"N": "-12.5"}}),
    ],
)
async def test_tombstones_of_an_earlier_release_are_known_again(
    session: Connection, typed: list[dict[str, str]], key: WireItem
) -> None:
    await session.execute(state.install_statement().split("IF installed < 9 THEN", 1)[0] + "END\n$install$")
    await session.execute(
        "INSERT INTO migrator.tombstones VALUES ('t', $1, 7, now() - interval '1 hour')", orjson.dumps(typed).decode()
    )
    await state.install(session)
    (line,) = await tombstones.older_than(session, "t", 60, limit=9)
    attributes = tuple(KeyAttribute(name, "N" if "N" in value else "S") for name, value in key.items())
    assert line.encode() == key_line(key, attributes)
    assert key_of_line(line.encode(), attributes) == key


async def test_several_may_install_at_once(sessions: Pool) -> None:
    async def install() -> bool:
        async with sessions.acquire() as connection:
            return await state.install(connection)

    assert sorted(await asyncio.gather(*(install() for _ in range(4)))) == [False, False, False, True]


async def test_without_the_schema_the_next_step_is_prepare(session: Connection) -> None:
    with pytest.raises(ConfigurationError, match="is not installed") as caught:
        await state.require(session)
    assert caught.value.next_step == "migrate prepare"


async def test_a_schema_of_a_newer_release_is_left_alone(session: Connection) -> None:
    await state.install(session)
    await session.execute("INSERT INTO migrator.versions (version) VALUES (999)")
    with pytest.raises(ConfigurationError, match="version 999"):
        await state.install(session)
    with pytest.raises(ConfigurationError, match="version 999"):
        await state.require(session)


async def test_a_role_that_may_not_create_the_schema_reads_what_to_grant(
    database: Database, session: Connection
) -> None:
    role = f"operator_{uuid.uuid4().hex}"
    await session.execute(f"CREATE ROLE {role}")
    connection = await connect(database.url, purpose="test")
    await connection.execute(f"SET SESSION AUTHORIZATION {role}")
    try:
        with pytest.raises(SourceError, match="lacks a privilege") as caught:
            await state.install(connection)
        assert await state.installed_version(session) == 0
        step = caught.value.next_step
        assert step is not None
        await session.execute(step.removeprefix("as the owner run: "))
        assert await state.install(connection) is True
    finally:
        await connection.close()
        await session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_role_that_may_not_use_the_schema_reads_what_to_grant(database: Database, session: Connection) -> None:
    role = f"operator_{uuid.uuid4().hex}"
    await session.execute(f"CREATE ROLE {role}")
    await state.install(session)
    try:
        async with pool(database.url, purpose="test", size=1) as sessions:
            async with sessions.acquire() as connection:
                await connection.execute(f"SET SESSION AUTHORIZATION {role}")
            log = CopyLog(
                sessions,
                "miyabi",
                TableName("users"),
                entity="USER",
                phase="prepare",
                mapping_fingerprint="m",
                schema_fingerprint="s",
            )
            with pytest.raises(SourceError, match="lacks a privilege") as caught:
                await log.load()
            assert role in str(caught.value.next_step)
            await session.execute(str(caught.value.next_step).removeprefix("as the owner run: "))
            async with sessions.acquire() as connection:
                await state.require(connection)
            assert await log.load() is None
            await log.begin([], followed=False)
            (whole,) = await log.ranges()
            aside = [SetAside({"id": "1"}, "why")]
            await log.settle(whole, ("1",), Counts(rows=1, set_aside=1), set_aside=aside, done=True)
            await log.finish()
    finally:
        await session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_an_administrator_may_make_the_schema_for_the_role(database: Database, session: Connection) -> None:
    role = f"operator_{uuid.uuid4().hex}"
    await session.execute(f"CREATE ROLE {role}; CREATE SCHEMA migrator AUTHORIZATION {role}")
    connection = await connect(database.url, purpose="test")
    await connection.execute(f"SET SESSION AUTHORIZATION {role}")
    try:
        assert await state.install(connection) is True
    finally:
        await connection.close()
        await session.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
