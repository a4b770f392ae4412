"""Migrations of the size that the long proofs need, and how these tell what they have seen."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mappings.miyabi.schema import metadata
from tests.support import renamed
from tests.support.migration import Migration, migration, reference_mix, source_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.stores import Database, DynamoDBStore

HUNDRED_THOUSAND = 100_000
SMALL = 2_000


@pytest.fixture(scope="session")
def large_template(postgres_server: Database) -> Iterator[Database]:
    """A database that holds 100,000 rows of the reference mix."""
    with source_template(postgres_server, metadata, reference_mix(HUNDRED_THOUSAND)) as template:
        yield template


@pytest.fixture
def large(
    postgres_server: Database, large_template: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Migration]:
    """The 100,000 rows, nothing copied yet."""
    with migration(postgres_server, large_template, dynamodb, renamed, monkeypatch) as prepared:
        yield prepared


@pytest.fixture
def miyabi(postgres_server: Database, dynamodb: DynamoDBStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Migration]:
    """A small reference mix, nothing copied yet."""
    with (
        source_template(postgres_server, metadata, reference_mix(SMALL)) as template,
        migration(postgres_server, template, dynamodb, renamed, monkeypatch) as prepared,
    ):
        yield prepared


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints at once, also where the test passes."""

    def show(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return show
