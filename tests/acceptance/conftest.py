"""Projects in which `migrate` is run as a user runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.project import ROWS, Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stores import Database, DynamoDBStore


@pytest.fixture
def project(tmp_path: Path, database: Database, dynamodb: DynamoDBStore) -> Project:
    """A project whose source has its tables, without rows, and whose target has nothing."""
    return Project.new(tmp_path, database, dynamodb)


@pytest.fixture
def prepared(project: Project) -> Project:
    """A project with rows, prepared for a copy."""
    project.database.execute(ROWS.format(customers=20, orders=100))
    project.prepare()
    return project
