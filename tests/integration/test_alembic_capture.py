"""Alembic's operations for capture: run, printed, reversed, and written by autogenerate."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from migrator.mapping import Entity, Item, Model, S, Table
from migrator.postgres import capture
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import TableName
from migrator.postgres.operations import CaptureLockedError, CreateCaptureOp, DropCaptureOp

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stores import Database

_T = TypeVar("_T")

metadata = sa.MetaData()
tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("user_id", sa.BigInteger, nullable=False),
)
users = sa.Table("users", metadata, sa.Column("id", sa.BigInteger, primary_key=True))
STORE = Table("store", partition_key=S("PK"), sort_key=S("SK"))
USER = Entity("USER", source=users, table=STORE, items=[Item("USER#{id}", "PROFILE")])
TASK = Entity("TASK", source=tasks, table=STORE, items=[Item("USER#{user_id}", "TASK#{id}")])
MODEL = Model("store", [USER, TASK])


async def run(database: Database, work: Callable[[Connection], _T]) -> _T:
    """The answer of `work` on a connection, in a transaction that is committed."""
    opened = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with opened.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await opened.dispose()


async def execute(database: Database, statement: str) -> None:
    """Run statements as they are, on a connection of its own."""
    connection = await asyncpg.connect(database.url)
    await connection.execute(statement)
    await connection.close()


def context(connection: Connection, model: Model | list[Model] | None = MODEL) -> MigrationContext:
    return MigrationContext.configure(connection, opts={"target_metadata": metadata, "capture": model})


def operations(connection: Connection) -> Any:  # noqa: ANN401 - operations are added to it at run time
    return Operations(context(connection))


def migrate(connection: Connection, model: Model = MODEL) -> str:
    """Do what autogenerate would write; return the text of it."""
    migration = context(connection, model)
    script = produce_migrations(migration, metadata)
    assert script.upgrade_ops is not None
    for each in script.upgrade_ops.ops:
        Operations(migration).invoke(each)
    return render_python_code(script.upgrade_ops, migration_context=migration)


def differences(connection: Connection, model: Model | list[Model] | None = MODEL) -> list[Any]:
    return list(compare_metadata(context(connection, model), metadata))


async def columns(database: Database, table: str) -> tuple[str, ...] | None:
    """What is captured of a table; None: nothing is."""
    connection = await connect(database.url, purpose="test")
    try:
        found = await capture.standing(connection, {TableName(table): ()})
        standing = found[TableName(table)]
        return standing.columns if standing.stands else None
    finally:
        await connection.close()


async def test_without_columns_the_primary_key_is_captured(database: Database) -> None:
    def install(connection: Connection) -> None:
        metadata.create_all(connection)
        operations(connection).create_capture("tasks")
        operations(connection).create_capture("users", ["id"])

    await run(database, install)
    assert await columns(database, "tasks") == ("id",)
    assert await columns(database, "users") == ("id",)
    await run(database, lambda connection: operations(connection).drop_capture("tasks"))
    assert await columns(database, "tasks") is None
    with pytest.raises(sa.exc.DBAPIError, match=r"there is no capture on public\.tasks"):
        await run(database, lambda connection: operations(connection).drop_capture("tasks"))


async def test_a_table_of_another_schema(database: Database) -> None:
    table = '"Other"."100% :sure"'
    await execute(database, f'CREATE SCHEMA "Other"; CREATE TABLE {table} (id int PRIMARY KEY)')
    await run(database, lambda connection: operations(connection).create_capture("100% :sure", schema="Other"))
    await execute(database, f"INSERT INTO {table} VALUES (1)")  # noqa: S608 - the name above
    source = await run(database, lambda connection: connection.scalar(sa.text("SELECT source FROM migrator.marks")))
    assert source == "Other.100% :sure"
    await run(database, lambda connection: operations(connection).drop_capture("100% :sure", schema="Other"))


async def test_it_is_all_rolled_back_with_the_migration(database: Database) -> None:
    await run(database, metadata.create_all)

    def fail(connection: Connection) -> None:
        operations(connection).create_capture("tasks")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(database, fail)
    schemas = await run(database, lambda connection: sa.inspect(connection).get_schema_names())
    assert "migrator" not in schemas


async def test_a_writer_that_does_not_end_is_not_waited_for(database: Database) -> None:
    await run(database, metadata.create_all)
    writer = await asyncpg.connect(database.url)
    await writer.execute("BEGIN; INSERT INTO tasks VALUES (1, 1)")
    with pytest.raises(CaptureLockedError) as caught:
        await run(database, lambda connection: operations(connection).create_capture("tasks", lock_timeout="50ms"))
    assert isinstance(caught.value, CommandError)
    assert str(caught.value) == (
        "table tasks could not be locked within 50ms: a transaction that has written to it has not ended; "
        "the migration was rolled back; see pg_stat_activity for long transactions, then run the migration again"
    )
    await writer.execute("COMMIT")
    await run(database, lambda connection: operations(connection).create_capture("tasks", lock_timeout="50ms"))
    await writer.close()


async def test_it_waits_for_writers_in_flight_and_what_comes_after_is_marked(database: Database) -> None:
    await run(database, metadata.create_all)
    writer = await asyncpg.connect(database.url)
    await writer.execute("BEGIN; INSERT INTO tasks VALUES (1, 1)")

    def install(connection: Connection) -> None:
        operations(connection).create_capture("tasks", lock_timeout="10s")
        assert connection.scalar(sa.text("SHOW lock_timeout")) == "0"

    installing = asyncio.create_task(run(database, install))
    waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'tasks'::regclass AND NOT granted"
    while not await writer.fetchval(waiting):  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.01)
    assert not installing.done()
    await writer.execute("COMMIT")
    await installing
    await writer.execute("INSERT INTO tasks VALUES (2, 1)")
    assert await writer.fetchval("SELECT string_agg(row_key ->> 'id', ',') FROM migrator.marks") == "2"
    await writer.close()


async def test_printed_statements_do_the_same(database: Database) -> None:
    await run(database, metadata.create_all)
    printed = io.StringIO()
    offline: Any = Operations(
        MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": printed})
    )
    offline.create_capture("tasks", columns=["user_id"])
    offline.create_capture("users")
    offline.drop_capture("users")
    assert printed.getvalue().count("CREATE SCHEMA migrator") == 1
    connection = await asyncpg.connect(database.url)
    await connection.execute(printed.getvalue())
    await connection.close()
    assert await columns(database, "tasks") == ("id", "user_id")
    assert await columns(database, "users") is None


async def test_autogenerate_creates_what_is_lacking_and_drops_what_is_not_needed(database: Database) -> None:
    text = await run(database, migrate)
    # On tables that the same revision creates.
    assert text.index("op.create_table('tasks'") < text.index("op.create_capture('tasks', columns=['id', 'user_id'])")
    assert "op.create_capture('users', columns=['id'])" in text
    assert await run(database, differences) == []
    assert await columns(database, "tasks") == ("id", "user_id")

    only_users = Model("store", [USER])
    assert await run(database, lambda connection: differences(connection, only_users)) == [("drop_capture", "tasks")]
    text = await run(database, lambda connection: migrate(connection, only_users))
    assert "op.drop_capture('tasks', columns=['id', 'user_id'])" in text
    assert await columns(database, "tasks") is None
    assert await run(database, lambda connection: differences(connection, [only_users])) == []
    assert await run(database, lambda connection: differences(connection, None)) == []


async def test_autogenerate_follows_the_columns_of_the_mapping(database: Database) -> None:
    await run(database, migrate)
    narrow = Model("store", [USER, Entity("TASK", source=tasks, table=STORE, items=[Item("TASK#{id}", "PROFILE")])])
    before = await run(database, lambda connection: differences(connection, narrow))
    assert before == [("create_capture", "tasks", ("id",))]
    text = await run(database, lambda connection: migrate(connection, narrow))
    assert "op.create_capture('tasks', columns=['id'], replaces=['id', 'user_id'])" in text
    assert await columns(database, "tasks") == ("id",)


async def test_autogenerate_restores_a_trigger_that_was_dropped(database: Database) -> None:
    await run(database, migrate)
    await execute(database, "DROP TRIGGER migrator_capture ON tasks")
    assert await run(database, differences) == [("create_capture", "tasks", ("id", "user_id"))]


async def test_autogenerate_forgets_a_table_that_is_gone(database: Database) -> None:
    await run(database, migrate)
    only_users = Model("store", [USER])
    await execute(database, "DROP TABLE tasks")
    text = await run(database, lambda connection: migrate(connection, only_users))
    assert text.index("op.drop_capture('tasks'") < text.index("op.create_table('tasks'")
    assert await run(database, lambda connection: differences(connection, only_users)) == []


def test_each_operation_is_the_reverse_of_the_other() -> None:
    table = TableName("tasks", "other")
    created = CreateCaptureOp(table, ["id"])
    dropped = created.reverse()
    assert isinstance(dropped, DropCaptureOp)
    again = dropped.reverse()
    assert isinstance(again, CreateCaptureOp)
    assert (again.table, again.columns) == (table, ["id"])
    changed = CreateCaptureOp(table, ["id", "name"], replaces=["id"]).reverse()
    assert isinstance(changed, CreateCaptureOp)
    assert (changed.columns, changed.replaces) == (["id"], ["id", "name"])
