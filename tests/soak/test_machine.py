"""Two thousand random sequences of writes, copies, relays, mirrors, deaths and late requests: nothing is lost."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.machine.seams import POINTS
from tests.support.machine.sequences import SETTINGS, sequences_in
from tests.support.machine.world import world
from tests.support.stores import Choice, new_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.sandbox import DynamoDBEndpoint
    from tests.support.machine.sequences import Running
    from tests.support.stores import Database

_PARTS: Final = 8
_SEQUENCES: Final = 250
_STEPS: Final = 25
_REACHED: Final = set[str]()
"""The points of death that processes have come to, in all parts."""


@pytest.fixture
def running(
    request: pytest.FixtureRequest,
    postgres_server: Database,
    dynamodb_emulator: Callable[[str], DynamoDBEndpoint],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Running]:
    """A world with its runner, on one DynamoDB or another."""
    emulators = Choice.of(os.environ).emulators
    with new_tables(dynamodb_emulator(emulators[request.param % len(emulators)])) as store:
        yield from world(postgres_server, store, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("running", range(_PARTS), indirect=True)
def test_nothing_is_lost(running: Running, tell: Callable[[str], None]) -> None:
    """Two thousand sequences in parts: what each takes in memory goes with its part."""
    number = secrets.randbits(32)
    tell(f"seed {number}")
    machine = seed(number)(sequences_in(*running))
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=_SEQUENCES, stateful_step_count=_STEPS))
    figures = running[0].figures
    tell(str(figures))
    assert figures.done["sequences"] >= _SEQUENCES
    _REACHED.update(figures.reached)


@pytest.mark.soak
def test_processes_have_come_to_every_point_of_death() -> None:
    """In all parts together, which run before."""
    assert set(POINTS) - _REACHED == set()
