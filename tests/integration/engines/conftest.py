"""Migrations to try the engines on: the reference mix, or an empty source, each with a target table of its own."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from mappings.miyabi.schema import metadata
from tests.support import library as library_model
from tests.support import narrow as narrow_model
from tests.support import renamed
from tests.support import shapes as shapes_model
from tests.support.fault_proxy import FaultProxy
from tests.support.library import Library, opened
from tests.support.migration import Migration, migration, reference_mix, source_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.stores import Database, DynamoDBStore

TOTAL = 1_200
LARGE = 10_000


@pytest.fixture
def dynamodb(fastest_dynamodb: DynamoDBStore) -> DynamoDBStore:
    """Engines ask much of it."""
    return fastest_dynamodb


@pytest.fixture(scope="session")
def reference_template(postgres_server: Database) -> Iterator[Database]:
    """A database that holds the reference mix."""
    with source_template(postgres_server, metadata, reference_mix(TOTAL)) as template:
        yield template


@pytest.fixture
def miyabi(
    postgres_server: Database,
    reference_template: Database,
    dynamodb: DynamoDBStore,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Migration]:
    """The reference mix, nothing copied yet."""
    with migration(postgres_server, reference_template, dynamodb, renamed, monkeypatch) as prepared:
        yield prepared


@pytest.fixture
async def copied(miyabi: Migration) -> Migration:
    """The reference mix, copied."""
    await miyabi.copy()
    return miyabi


@pytest.fixture(scope="module")
def large_template(postgres_server: Database) -> Iterator[Database]:
    """A database that holds more of the reference mix."""
    with source_template(postgres_server, metadata, reference_mix(LARGE)) as template:
        yield template


@pytest.fixture
def large(
    postgres_server: Database, large_template: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migration]:
    """As `miyabi`, with more rows."""
    with migration(postgres_server, large_template, dynamodb, renamed, monkeypatch) as prepared:
        yield prepared


@pytest.fixture(scope="session")
def narrow_template(postgres_server: Database) -> Iterator[Database]:
    """A database with the empty table of the narrow model."""
    with source_template(postgres_server, narrow_model.metadata, []) as template:
        yield template


@pytest.fixture
def narrow(
    postgres_server: Database, narrow_template: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migration]:
    """A table of two columns, still empty."""
    with migration(postgres_server, narrow_template, dynamodb, narrow_model, monkeypatch) as prepared:
        yield prepared


@pytest.fixture
def shapes(postgres_server: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Migration]:
    """A table of what the reference has not, still empty."""
    with (
        source_template(postgres_server, shapes_model.metadata, []) as template,
        migration(postgres_server, template, dynamodb, shapes_model, monkeypatch) as prepared,
    ):
        yield prepared


@pytest.fixture(scope="session")
def library_template(postgres_server: Database) -> Iterator[Database]:
    """A database with the empty tables of the library."""
    with source_template(postgres_server, library_model.metadata, []) as template:
        yield template


@pytest.fixture
def empty_library(
    postgres_server: Database, library_template: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migration]:
    """The library's tables, still empty."""
    with migration(postgres_server, library_template, dynamodb, library_model, monkeypatch) as prepared:
        yield prepared


@pytest.fixture
async def library(empty_library: Migration) -> AsyncIterator[Library]:
    """Authors and books, written in DynamoDB; nothing is there yet."""
    async with opened(empty_library) as library:
        yield library


@pytest.fixture
def proxy(dynamodb: DynamoDBStore) -> Iterator[FaultProxy]:
    """A fault proxy in front of the target."""
    with FaultProxy(dynamodb.endpoint_url, seed=1) as running:
        yield running


@pytest.fixture
def behind_proxy(miyabi: Migration, proxy: FaultProxy) -> Migration:
    """The same migration, its target reached through the fault proxy."""
    return miyabi.through(proxy.endpoint_url)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which temporary files are made; commands keep how far they are in `work`, there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("MIGRATOR_WORK_DIR", str(tmp_path / "work"))
    return tmp_path
