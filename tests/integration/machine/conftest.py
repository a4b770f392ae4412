"""The machine's world, on the stores of the tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.machine.world import world
from tests.support.stores import Choice, new_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.sandbox import DynamoDBEndpoint
    from tests.support.machine.sequences import Running
    from tests.support.stores import Database


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    postgres_server: Database,
    dynamodb_emulator: Callable[[str], DynamoDBEndpoint],
) -> Iterator[Running]:
    """A world with its runner, for all tests of a module; a number as parameter chooses among the DynamoDBs."""
    emulators = Choice.of(os.environ).emulators
    name = emulators[getattr(request, "param", 0) % len(emulators)]
    with new_tables(dynamodb_emulator(name)) as store, pytest.MonkeyPatch.context() as patch:
        yield from world(postgres_server, store, patch)
