"""Fixtures for tests that carry rows through both stores. A test's work on PostgreSQL is rolled back after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from migrator.postgres.connection import connect
from tests.support.stores import Choice, DynamoDBStore, new_database, new_tables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from migrator.postgres.connection import Connection
    from migrator.sandbox import DynamoDBEndpoint
    from tests.support.stores import Database


@pytest.fixture(scope="module")
def scratch(postgres_server: Database) -> Iterator[Database]:
    """A database that the tests of a module share."""
    with new_database(postgres_server) as database:
        yield database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def source(scratch: Database) -> AsyncIterator[Connection]:
    """A session of the toolkit's own on that database."""
    session = await connect(scratch.url, purpose="test")
    yield session
    await session.close()


@pytest_asyncio.fixture(loop_scope="module")
async def connection(source: Connection) -> AsyncIterator[Connection]:
    """The same session, in a transaction that is rolled back: types and tables are gone after the test."""
    transaction = source.transaction()
    await transaction.start()
    yield source
    await transaction.rollback()
    # The next test's tables have the same names and other types.
    await source.reload_schema_state()


@pytest.fixture(scope="module", params=Choice.of(os.environ).emulators)
def each_dynamodb(
    request: pytest.FixtureRequest, dynamodb_emulator: Callable[[str], DynamoDBEndpoint]
) -> Iterator[DynamoDBStore]:
    """Each DynamoDB that can be had, with table names that the tests of a module share."""
    with new_tables(dynamodb_emulator(request.param)) as store:
        yield store
