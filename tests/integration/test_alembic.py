"""The source schema as Alembic makes it, on a real server: by command, as SQL, and on a connection handed in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from alembic import command
from mappings.miyabi.schema import metadata
from tests.support.preloaded import Command

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.preloaded import Ended
    from tests.support.stores import Database

ROOT = Path(__file__).parents[2]
INI = ROOT / "alembic.ini"

_T = TypeVar("_T")


def alembic(*arguments: str, directory: Path = ROOT, **environment: str) -> Ended:
    """Run the command in a directory, by default the checkout, with nothing ambient but what `environment` adds."""
    return Command(
        ["alembic", "--config", str(INI), *arguments], directory, {**os.environ, **environment}, seconds=120
    ).run()


def succeeds(database: Database, *arguments: str) -> str:
    done = alembic(*arguments, DATABASE_URL=database.url)
    assert done.code == 0, done.err
    return done.out + done.err


def refused(done: Ended) -> str:
    """The one line that a failed command says."""
    assert done.code != 0
    lines = (done.out + done.err).strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("FAILED: ")
    return lines[0]


async def run(database: Database, work: Callable[[Connection], _T]) -> _T:
    """The answer of `work` on a connection, in a transaction that is committed."""
    opened = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with opened.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await opened.dispose()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


def upgrade(connection: Connection) -> None:
    config = Config(INI)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def test_the_schema_goes_up_and_down_and_up_again(database: Database) -> None:
    succeeds(database, "upgrade", "head")
    assert await run(database, tables) == {*metadata.tables, "alembic_version"}
    assert await run(database, differences) == []

    succeeds(database, "downgrade", "base")
    assert await run(database, tables) == {"alembic_version"}

    succeeds(database, "upgrade", "head")
    assert await run(database, differences) == []


async def test_a_schema_that_differs_from_its_declaration_is_found(database: Database) -> None:
    def change(connection: Connection) -> None:
        upgrade(connection)
        connection.execute(text("alter table users drop column email"))
        connection.execute(text("drop index ix_tasks_user_id"))

    await run(database, change)
    done = alembic("check", DATABASE_URL=database.url)
    assert done.code != 0
    assert "email" in done.out + done.err
    assert "ix_tasks_user_id" in done.out + done.err


async def test_the_schema_of_the_toolkit_is_left_alone(database: Database) -> None:
    def install(connection: Connection) -> None:
        upgrade(connection)
        connection.execute(text("create table migrator.another (id bigint primary key)"))

    await run(database, install)
    assert "No new upgrade operations detected" in succeeds(database, "check")


async def test_the_statements_can_be_printed_and_run_by_hand(database: Database) -> None:
    done = alembic("upgrade", "head", "--sql", DATABASE_URL="postgresql://127.0.0.1:1/nowhere")
    assert done.code == 0, done.err
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute(done.out)
    finally:
        await connection.close()
    assert await run(database, differences) == []
    assert "0002 (head)" in succeeds(database, "current")


async def test_a_program_hands_in_its_connection_and_decides_over_its_transaction(database: Database) -> None:
    def upgrade_and_roll_back(connection: Connection) -> set[str]:
        with connection.begin_nested() as savepoint:
            upgrade(connection)
            made = tables(connection)
            savepoint.rollback()
        return made - tables(connection)

    assert await run(database, upgrade_and_roll_back) == {*metadata.tables, "alembic_version"}
    await run(database, upgrade)
    assert await run(database, differences) == []


async def test_a_url_on_the_command_line_is_read_as_users_write_it_and_comes_first(database: Database) -> None:
    url = database.url.replace("postgresql://", "postgresql+psycopg://")
    url += "&sslmode=prefer" if "?" in url else "?sslmode=prefer"
    done = alembic("-x", f"url={url}", "upgrade", "head", DATABASE_URL="postgresql://127.0.0.1:1/nowhere")
    assert done.code == 0, done.err
    assert await run(database, tables) == {*metadata.tables, "alembic_version"}


async def test_a_table_that_is_in_the_way_stops_everything(database: Database) -> None:
    def obstruct(connection: Connection) -> None:
        connection.execute(text("create table execution_logs (id text)"))

    await run(database, obstruct)
    done = alembic("upgrade", "head", DATABASE_URL=database.url)
    assert done.code != 0
    assert 'relation "execution_logs" already exists' in done.out
    assert "Traceback" not in done.err
    assert await run(database, tables) == {"execution_logs"}


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://app:hunter2@127.0.0.1:1/app", "PostgreSQL at 127.0.0.1:1 (app)"),
        ("mysql://app:hunter2@127.0.0.1/app", "does not begin with postgresql://"),
    ],
)
def test_a_url_that_leads_nowhere_is_one_line_without_its_password(url: str, says: str) -> None:
    line = refused(alembic("current", DATABASE_URL=url))
    assert says in line
    assert "hunter2" not in line


def test_a_database_that_does_not_exist_is_one_line(database: Database) -> None:
    url = database.url.replace("/test_", "/no_test_")
    assert "the database does not exist" in refused(alembic("current", DATABASE_URL=url))


def test_without_a_url_the_variables_of_libpq_decide(tmp_path: Path) -> None:
    assert "as PGHOST" in refused(alembic("current", directory=tmp_path, PGHOST=str(tmp_path)))
