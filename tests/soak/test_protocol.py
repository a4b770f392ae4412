"""The write protocol in larger worlds than those of the unit tests: more processes, writes and requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.protocol.checker import explore
from tests.unit.protocol.rules import PREPARE, Configuration, Model
from tests.unit.protocol.switch_variants import MOVED, UPDATED

pytestmark = pytest.mark.soak

# Each with the number of states that it has at least: a model that has lost its steps would hold, too.
LARGE = {
    "one key, two reconcilers": (
        Configuration(rows=(0,), operations=("insert", "update", "delete"), reconcilers=2),
        120_000,
    ),
    "one key, two reconcilers, three requests": (
        Configuration(rows=(0,), operations=("update",), reconcilers=2, requests=3),
        130_000,
    ),
    "one key, three writes, three requests": (
        Configuration(rows=(0,), operations=("insert", "update", "delete"), writes=3, requests=3),
        160_000,
    ),
    "a key moved to and fro, two reconcilers": (
        Configuration(rows=(0,), operations=("move",), keys=2, reconcilers=2, life=0),
        190_000,
    ),
    "a key moved on": (Configuration(rows=(0,), operations=("move",), keys=3), 110_000),
    "two keys swapped, two reconcilers": (
        Configuration(rows=(0, 1), operations=("swap",), keys=2, writes=1, reconcilers=2),
        160_000,
    ),
    "two of three keys, swapped and moved": (
        Configuration(rows=(0, 1), operations=("swap", "move"), keys=3, life=0),
        90_000,
    ),
    "live copy beside two reconcilers": (
        Configuration(rows=(0,), operations=("update", "delete"), copied=False, reconcilers=2, life=0),
        100_000,
    ),
    "turbo copy, killed, then relay and live copy": (
        Configuration(rows=(0,), operations=("insert", "update", "delete"), copied=False, phase=PREPARE),
        60_000,
    ),
    "turbo copy of two pages": (
        Configuration(
            rows=(0, 1), operations=("update", "delete"), keys=2, copied=False, phase=PREPARE, writes=1, life=0
        ),
        14_000,
    ),
    "back to prepare, turbo copy again": (
        Configuration(rows=(0,), operations=("update", "delete"), copied=False, phase=PREPARE, rollbacks=1),
        160_000,
    ),
    "back to prepare, two reconcilers": (
        Configuration(rows=(0,), operations=("update",), rollbacks=1, reconcilers=2, life=0),
        270_000,
    ),
    "tombstones purged, two reconcilers": (
        Configuration(rows=(0,), operations=("insert", "delete"), purge=True, reconcilers=2),
        60_000,
    ),
    "tombstones purged, three writes, two reconcilers": (
        Configuration(rows=(None,), operations=("insert", "delete"), writes=3, purge=True, reconcilers=2, life=0),
        150_000,
    ),
    "tombstones purged beside live copy": (
        Configuration(rows=(0,), operations=("insert", "update", "delete"), copied=False, purge=True),
        70_000,
    ),
    "requests of a longer life": (
        Configuration(rows=(0,), operations=("update", "delete"), purge=True, life=2),
        8_000,
    ),
    "verify repairs beside live copy": (
        Configuration(rows=(0,), operations=("insert", "update", "delete"), copied=False, repair=True),
        45_000,
    ),
}

SWITCHED = {
    "two reconcilers": (replace(UPDATED, reconcilers=2), 100_000),
    "three writes": (replace(UPDATED, writes=3), 20_000),
    "a key moved three times": (replace(MOVED, writes=3), 35_000),
    "a row written on both sides, two applications": (
        replace(UPDATED, operations=("insert", "update", "delete"), instances=2),
        20_000,
    ),
    "longer leases and lives, two applications": (replace(UPDATED, lease=1, life=1, instances=2), 40_000),
}


@pytest.mark.parametrize("name", SWITCHED)
def test_writes_move_and_come_back_in_every_state(name: str) -> None:
    configuration, floor = SWITCHED[name]
    outcome = explore(Model(configuration))
    assert outcome.broken == "", f"\n{outcome}"
    assert outcome.states >= floor


@pytest.mark.parametrize("name", LARGE)
def test_the_protocol_holds_in_every_state(name: str) -> None:
    configuration, floor = LARGE[name]
    outcome = explore(Model(configuration))
    assert outcome.broken == "", f"\n{outcome}"
    assert outcome.states >= floor
