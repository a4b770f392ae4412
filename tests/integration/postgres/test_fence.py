from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.errors import ConfigurationError, SourceError
from migrator.postgres import fence, state
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection, Pool

ORDERS = TableName("Orders")
EVENTS = TableName("events")
WRITES = (
    """INSERT INTO "Orders" VALUES (2, 0)""",
    """UPDATE "Orders" SET total = 1""",
    """DELETE FROM "Orders" WHERE false""",
    """TRUNCATE "Orders" """,
    """INSERT INTO "Orders" VALUES (1, 0) ON CONFLICT DO NOTHING""",
    """SET LOCAL session_replication_role = replica; DELETE FROM "Orders" """,
    "INSERT INTO events VALUES (1)",
    "INSERT INTO events_low VALUES (2)",
    "TRUNCATE events_low",
)


@pytest.fixture
async def fenced(session: Connection) -> Connection:
    """A session on two tables, one of them partitioned, that are fenced."""
    await state.install(session)
    await session.execute(
        """
        CREATE TABLE "Orders" (id int PRIMARY KEY, total int);
        INSERT INTO "Orders" VALUES (1, 0);
        CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE TABLE events_low PARTITION OF events FOR VALUES FROM (0) TO (100);
        """
    )
    await put_up(session)
    return session


async def put_up(session: Connection, patience: str = "5s") -> None:
    async with session.transaction():
        await fence.fence(session, [ORDERS, EVENTS], model="shop", phase="write_target", patience=patience)


async def lift(session: Connection) -> None:
    async with session.transaction():
        await fence.unfence(session, [ORDERS, EVENTS])


async def write(session: Connection, statement: str) -> None:
    async with session.transaction():
        await session.execute(statement)


@pytest.mark.parametrize("statement", WRITES)
async def test_whoever_writes_is_told_the_phase(fenced: Connection, statement: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match="is fenced: shop is in phase write_target") as raised:
        await write(fenced, statement)
    assert raised.value.sqlstate == fence.SQLSTATE
    assert await fenced.fetchval("""SELECT count(*) FROM "Orders" """) == 1


async def test_a_writer_without_privileges_in_the_toolkits_schema_is_told_the_same(fenced: Connection) -> None:
    async with fenced.transaction():
        await fenced.execute("""CREATE ROLE fenced_writer; GRANT ALL ON "Orders" TO fenced_writer""")
        await fenced.execute("SET LOCAL ROLE fenced_writer")
        with pytest.raises(asyncpg.PostgresError, match="is fenced"):
            async with fenced.transaction():
                await fenced.execute(WRITES[0])
        await fenced.execute("RESET ROLE; DROP OWNED BY fenced_writer; DROP ROLE fenced_writer")


async def test_a_fence_can_be_set_and_lifted_again(fenced: Connection) -> None:
    await put_up(fenced)
    assert await fence.gaps(fenced, [ORDERS, EVENTS]) == []
    await lift(fenced)
    await lift(fenced)
    for statement in WRITES:
        await write(fenced, statement)


async def test_a_fence_goes_with_the_transaction_that_set_it(fenced: Connection) -> None:
    await lift(fenced)
    transaction = fenced.transaction()
    await transaction.start()
    await fence.fence(fenced, [ORDERS], model="shop", phase="write_target")
    await transaction.rollback()
    await write(fenced, WRITES[0])


async def test_it_waits_for_a_writer_in_flight_and_no_longer_than_it_may(fenced: Connection, sessions: Pool) -> None:
    await lift(fenced)
    async with sessions.acquire() as writer:
        writing = writer.transaction()
        await writing.start()
        await writer.execute(WRITES[0])
        with pytest.raises(SourceError, match="a lock was not to be had in time"):
            await put_up(fenced, patience="100ms")
        setting = asyncio.create_task(put_up(fenced, patience="60s"))
        await writing.commit()
        await setting
        with pytest.raises(asyncpg.PostgresError, match="is fenced"):
            await writer.execute(WRITES[1])
    assert await fenced.fetchval("""SELECT count(*) FROM "Orders" """) == 2


async def test_what_the_refused_are_told_follows_the_phase(fenced: Connection) -> None:
    async with fenced.transaction():
        await fence.fence(fenced, [ORDERS], model="shop", phase="complete")
    with pytest.raises(asyncpg.PostgresError, match="shop is in phase complete"):
        await write(fenced, WRITES[0])


@pytest.mark.parametrize(
    ("damage", "open_to_writers"),
    [
        ("""DROP TRIGGER migrator_fence ON "Orders" """, TableName("Orders", "public")),
        ("""ALTER TABLE "Orders" DISABLE TRIGGER migrator_fence""", TableName("Orders", "public")),
        ("""ALTER TABLE "Orders" ENABLE TRIGGER migrator_fence""", TableName("Orders", "public")),
        (
            "CREATE TABLE events_high PARTITION OF events FOR VALUES FROM (100) TO (200)",
            TableName("events_high", "public"),
        ),
    ],
)
async def test_a_gap_is_found_and_mended(fenced: Connection, damage: str, open_to_writers: TableName) -> None:
    await fenced.execute(damage)
    assert await fence.gaps(fenced, [ORDERS, EVENTS]) == [open_to_writers]
    await put_up(fenced)
    assert await fence.gaps(fenced, [ORDERS, EVENTS]) == []


async def test_a_table_that_is_not_there_is_named(fenced: Connection) -> None:
    with pytest.raises(ConfigurationError, match='no table "missing"'):
        await fence.gaps(fenced, [TableName("missing")])


async def test_a_fence_outside_of_a_transaction_is_a_mistake(fenced: Connection) -> None:
    with pytest.raises(RuntimeError, match="within a transaction"):
        await fence.fence(fenced, [ORDERS], model="shop", phase="write_target")


async def test_a_transaction_that_carries_changes_back_passes_and_no_other(fenced: Connection, sessions: Pool) -> None:
    async with sessions.acquire() as other, fenced.transaction():
        async with fence.passing(fenced):
            for statement in WRITES[:5]:
                await fenced.execute(statement)
            with pytest.raises(asyncpg.PostgresError, match="is fenced"):
                await write(other, "DELETE FROM events")
        with pytest.raises(asyncpg.PostgresError, match="is fenced"):
            await write(fenced, "DELETE FROM events")
    assert await fenced.fetchval("SELECT count(*) FROM migrator.carriers") == 0
    with pytest.raises(asyncpg.PostgresError, match="is fenced"):
        await write(fenced, "DELETE FROM events")
