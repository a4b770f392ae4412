"""The reference mix in a real database: it arrives as it was made, and holds together there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine

from mappings.miyabi.sample import counts, rows
from mappings.miyabi.schema import metadata
from migrator.errors import SourceError
from migrator.sandbox.loading import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mappings.miyabi.sample import Batch
    from tests.support.stores import Database

TOTAL = 2_000
START = datetime(2025, 11, 29, 10, 30, tzinfo=UTC)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a database with the empty tables of the source schema."""
    engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as schema:
        await schema.run_sync(metadata.create_all)
    await engine.dispose()
    opened = await asyncpg.connect(database.url)
    yield opened
    await opened.close()


def comparable(table: str, record: dict[str, Any]) -> dict[str, Any]:
    """The record with its documents parsed: PostgreSQL writes jsonb with spaces and an order of keys of its own."""
    return {
        name: json.loads(value, parse_float=Decimal)
        if value is not None and isinstance(metadata.tables[table].columns[name].type, JSONB)
        else value
        for name, value in record.items()
    }


async def test_the_reference_mix_arrives_as_it_was_made(connection: asyncpg.Connection) -> None:
    assert await load(connection, rows(TOTAL, 1, START)) == counts(TOTAL)
    for table, columns, records in rows(TOTAL, 1, START):
        key = [column.name for column in metadata.tables[table].primary_key]
        stored = {
            tuple(record[name] for name in key): comparable(table, dict(record))
            for record in await connection.fetch(f'select * from "{table}"')  # noqa: S608 - a table of the schema
        }
        made = [comparable(table, dict(zip(columns, record, strict=True))) for record in records]
        assert stored == {tuple(record[name] for name in key): record for record in made}, table


async def test_figures_for_the_planner_are_there(connection: asyncpg.Connection) -> None:
    await load(connection, rows(TOTAL, 1, START))
    query = "select relname, reltuples::int from pg_class where relname = any($1)"
    estimates = await connection.fetch(query, [*counts(TOTAL)])
    assert dict(estimates) == counts(TOTAL)


async def test_batches_of_one_table_add_up(connection: asyncpg.Connection) -> None:
    columns = ("task_id", "depends_on_task_id", "created_at")
    batches = [("task_dependencies", columns, [(f"task-{n}", "task-0", START)]) for n in range(1, 4)]
    assert await load(connection, batches) == {"task_dependencies": 3}


async def test_what_the_database_refuses_leaves_nothing_behind(connection: asyncpg.Connection) -> None:
    def orphaned() -> Iterator[Batch]:
        for batch in rows(TOTAL, 1, START):
            yield batch._replace(records=batch.records[1:]) if batch.table == "users" else batch

    with pytest.raises(SourceError, match=r"cannot load rows into \w+: ForeignKeyViolationError") as caught:
        await load(connection, orphaned())
    assert caught.value.safe is not None
    # PostgreSQL's own text names the key that is missing.
    assert "-" not in caught.value.what
    assert await connection.fetchval("select count(*) from organizations") == 0
