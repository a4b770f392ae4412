"""A shop whose reads have moved, with all that lets its writes move."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.following import following

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.project import Project

WRITES = ("switch", "writes", "-y")
LEASE = {"MIGRATOR_LEASE_SECONDS": "0.2"}


@pytest.fixture
def read(prepared: Project) -> Project:
    """Read from the target alone, verified, and its way back rehearsed."""
    quick = following(prepared.through(**LEASE))
    quick.here("verify").succeeded()
    quick.here("switch", "reads", "-y").succeeded()
    quick.here("rehearse").succeeded()
    return quick


@pytest.fixture
def written(read: Project) -> Project:
    """Written in the target."""
    read.here(*WRITES).succeeded()
    return read


@pytest.fixture
def client(written: Project) -> Iterator[DynamoDBClient]:
    """An application's."""
    made = written.dynamodb.client()
    yield made
    made.close()


def standing(project: Project) -> dict[str, Any]:
    """What `migrate status` says of the model."""
    (model,) = json.loads(project.here("status", "--json").succeeded().out)["models"]
    found: dict[str, Any] = model
    return found


def stages(project: Project) -> set[tuple[str, str | None]]:
    """The phases and stages that entities are in."""
    return {(group["phase"], group["stage"]) for group in standing(project)["groups"]}
