"""Whoever writes is caught, and nobody is hindered: any role, any session, many at once."""

from __future__ import annotations

import asyncio
import random
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.integration.postgres.capturing import Marked, capture, deleted, inserted, marks, updated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.postgres.connection import Connection
    from tests.support.stores import Database

TASKS = "public.tasks"
# A schema of a writer's own, in which everything is named as what the trigger function uses, and does harm.
HOSTILE = """
CREATE SCHEMA hostile;
CREATE TABLE hostile.marks (id int);
CREATE DOMAIN hostile.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN hostile.record AS pg_catalog.text CHECK (false);
CREATE FUNCTION hostile.harm() RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''harm''; END';
CREATE FUNCTION hostile.jsonb_build_object(VARIADIC "any") RETURNS jsonb LANGUAGE internal AS 'jsonb_build_array';
CREATE FUNCTION hostile.timezone(pg_catalog.text, timestamptz) RETURNS timestamp LANGUAGE sql
    AS 'SELECT timestamp ''2000-01-01''';
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT timestamptz ''2000-01-01''';
CREATE FUNCTION hostile.texts(pg_catalog.text, pg_catalog.text) RETURNS boolean LANGUAGE sql
    AS 'SELECT hostile.harm()';
CREATE FUNCTION hostile.bigints(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.harm()';
CREATE FUNCTION hostile.instants(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql AS 'SELECT hostile.harm()';
CREATE FUNCTION hostile.records(pg_catalog.record, pg_catalog.record) RETURNS boolean LANGUAGE plpgsql
    AS 'BEGIN RETURN hostile.harm(); END';
CREATE OPERATOR hostile.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = hostile.texts);
CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.bigints);
CREATE OPERATOR hostile.= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.instants);
CREATE OPERATOR hostile.*= (LEFTARG = pg_catalog.record, RIGHTARG = pg_catalog.record, FUNCTION = hostile.records);
"""


@pytest.fixture
async def captured(session: Connection) -> Connection:
    """A session on a database with a captured table, whose keys are compared in every way there is."""
    await session.execute(
        "CREATE TABLE tasks (id bigint PRIMARY KEY, at timestamptz, weight numeric, name text);"
        "INSERT INTO tasks VALUES (1, '2025-01-01 00:00:00+00', 1.5, 'one')"
    )
    await capture(session, "tasks", ["at", "weight", "name"])
    return session


@pytest.fixture
async def role(session: Connection) -> AsyncIterator[str]:
    """A role with no privilege but those that a test grants."""
    name = f"writer_{uuid.uuid4().hex}"
    await session.execute(f"CREATE ROLE {name}")
    yield name
    await session.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


CHANGES = (
    "INSERT INTO public.tasks VALUES (2, '2025-02-01 00:00:00+00', 2.50, 'two')",
    "UPDATE public.tasks SET name = name WHERE weight < 2",
    "UPDATE public.tasks SET at = '2025-03-01 00:00:00+00' WHERE weight < 2",
    "DELETE FROM public.tasks WHERE weight > 2",
)
MARKED = [
    inserted(TASKS, id="2"),
    updated(TASKS, id="1"),
    updated(TASKS, {"id": "1", "at": "2025-01-01T00:00:00", "weight": "1.5", "name": "one"}, id="1"),
    deleted(TASKS, id="2", at="2025-02-01T00:00:00", weight="2.50", name="two"),
]


async def change(writer: Connection) -> None:
    for statement in CHANGES:
        await writer.execute(statement)


async def test_a_writer_without_any_grant_on_the_toolkits_schema(
    captured: Connection, database: Database, role: str
) -> None:
    await captured.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON tasks TO {role}")
    writer = await asyncpg.connect(database.url)
    await writer.execute(f"SET SESSION AUTHORIZATION {role}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await writer.execute("INSERT INTO migrator.marks (source, operation) VALUES ('public.tasks', 'insert')")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await writer.execute('SELECT migrator."capture_public.tasks"()')
    await change(writer)
    assert await marks(captured) == MARKED
    await writer.execute("TRUNCATE tasks")
    assert await marks(captured) == [Marked(TASKS, "truncate", None, None)]
    await writer.close()


async def test_a_writer_cannot_have_the_function_write_marks_for_a_table_of_its_own(
    captured: Connection, database: Database, role: str
) -> None:
    await captured.execute(f"GRANT CREATE ON SCHEMA public TO {role}; GRANT USAGE ON SCHEMA migrator TO {role}")
    writer = await asyncpg.connect(database.url)
    await writer.execute(f"SET SESSION AUTHORIZATION {role}; CREATE TABLE own (id int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await writer.execute(
            'CREATE TRIGGER forged AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION migrator."capture_public.tasks"()'
        )
    await writer.close()


async def test_the_replica_role(captured: Connection) -> None:
    await captured.execute("SET session_replication_role = replica")
    await change(captured)
    assert await marks(captured) == MARKED
    await captured.execute("TRUNCATE tasks")
    assert await marks(captured) == [Marked(TASKS, "truncate", None, None)]


async def test_a_hostile_search_path(captured: Connection, database: Database) -> None:
    await captured.execute(HOSTILE)
    writer = await asyncpg.connect(
        database.url, server_settings={"search_path": "hostile, pg_catalog, public", "row_security": "on"}
    )
    await writer.execute("CREATE TEMPORARY TABLE marks (id int)")
    assert await writer.fetchval("SELECT jsonb_build_object('hostile', 1)::pg_catalog.text") == '["hostile", 1]'
    await change(writer)
    await writer.execute("TRUNCATE public.tasks")
    assert await marks(captured) == [*MARKED, Marked(TASKS, "truncate", None, None)]
    assert await captured.fetchval("SELECT count(*) FROM hostile.marks") == 0
    await writer.close()


async def test_a_session_whose_search_path_changes(captured: Connection) -> None:
    await captured.execute(HOSTILE)
    await captured.execute("INSERT INTO tasks VALUES (2); UPDATE tasks SET id = id + 10 WHERE id = 2")
    await captured.execute("SET search_path = hostile, pg_catalog")
    await captured.execute("INSERT INTO public.tasks VALUES (3); SET search_path = ''; DELETE FROM public.tasks")
    assert len(await marks(captured)) == 6


@pytest.mark.uncovered
async def test_fifty_writers_of_the_same_rows(captured: Connection, database: Database) -> None:
    """They lock rows in one order, so that they cannot wait for each other in a ring; capture adds no lock to it."""
    await captured.execute("INSERT INTO tasks SELECT i, now(), i, 'n' FROM generate_series(2, 20) AS i")
    await marks(captured)
    written: list[list[int]] = []

    async def write(connection: Connection, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - any order of events will do
        for _ in range(10):
            ids = sorted(chance.sample(range(1, 21), 4))
            async with connection.transaction():
                for number in ids:
                    await connection.execute("UPDATE tasks SET weight = weight + $2 WHERE id = $1", number, seed % 2)
            written.append(ids)

    async with AsyncExitStack() as stack:
        connections = []
        for _ in range(50):
            # A cycle of locks would end one of its transactions with an error.
            connection = await asyncpg.connect(database.url, server_settings={"deadlock_timeout": "100ms"})
            stack.push_async_callback(connection.close)
            connections.append(connection)
        await asyncio.gather(*(write(connection, seed) for seed, connection in enumerate(connections)))
    found = await marks(captured)
    assert len(written) == 500
    assert len(found) == 2000
    assert sorted(int((mark.row_key or {})["id"] or 0) for mark in found) == sorted(n for ids in written for n in ids)
