"""Projects in which `migrate` is run as a user runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.project import ROWS, TABLES, Project, install
from tests.support.stores import new_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.stores import Database, DynamoDBStore


@pytest.fixture
def project(tmp_path: Path, database: Database, dynamodb: DynamoDBStore) -> Project:
    """A project whose source has its tables, without rows, and whose target has nothing."""
    database.execute(TABLES)
    return Project.new(tmp_path, database, dynamodb)


@pytest.fixture(scope="session")
def prepared_template(postgres_server: Database) -> Iterator[Database]:
    """A database with a project's tables, without rows, and with the toolkit's own schema, to make others from."""
    with new_database(postgres_server) as template:
        template.execute(TABLES)
        install(template)
        yield template


@pytest.fixture
def prepared(
    tmp_path: Path, postgres_server: Database, prepared_template: Database, dynamodb: DynamoDBStore
) -> Iterator[Project]:
    """A project with rows, prepared for a copy."""
    with new_database(postgres_server, prepared_template) as database:
        project = Project.new(tmp_path, database, dynamodb)
        database.execute(ROWS.format(customers=20, orders=100))
        project.prepare_target()
        yield project
