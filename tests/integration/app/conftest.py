"""Applications to try the adapter in: the empty source of the reference model, followed, in `dual_write`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from mappings.miyabi.schema import metadata
from migrator.postgres import capture, phases
from tests.integration.app.application import Application
from tests.support import renamed
from tests.support.fault_proxy import FaultProxy
from tests.support.migration import Migration, migration, source_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.stores import Database, DynamoDBStore


@pytest.fixture(scope="session")
def captured_template(postgres_server: Database) -> Iterator[Database]:
    """A database with the empty tables of the reference model, and capture on them."""
    with source_template(postgres_server, metadata, []) as template:
        template.execute(
            *(
                statement
                for table, columns in capture.wanted([renamed.MODEL]).items()
                for statement in capture.create_statements(table, columns)
            )
        )
        yield template


@pytest.fixture
def prepared(
    postgres_server: Database, captured_template: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migration]:
    """A migration in `prepare`."""
    with migration(postgres_server, captured_template, dynamodb, renamed, monkeypatch) as made:
        yield made


async def _follow(made: Migration) -> None:
    async with made.session() as session:
        await phases.move(session, made.model.name, [each.name for each in made.model.entities], "dual_write")


@pytest.fixture
def app(prepared: Migration) -> Iterator[Application]:
    """An application whose migration is in `dual_write`, with no writer attached yet."""
    asyncio.run(_follow(prepared))
    with Application.on(prepared) as made:
        yield made


@pytest.fixture
def proxy(dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    """A fault proxy in front of the target."""
    with FaultProxy(dynamodb.endpoint_url, seed=1) as running:
        yield running
