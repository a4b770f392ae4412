"""Writes can move to DynamoDB and come back with nothing lost; and they cannot without any one of the rules."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tests.unit.protocol.checker import explore, lost_write
from tests.unit.protocol.invariants import LOST
from tests.unit.protocol.rules import Model, SwitchRules
from tests.unit.protocol.switch_variants import SOUND, VARIANTS

pytestmark = pytest.mark.uncovered

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "the-way-back.md"
# A model that has lost its steps would hold, too.
FLOORS = {
    "a row written on both sides": 6_000,
    "a moved key": 8_000,
    "two applications with leases of their own": 8_000,
    "longer leases and lives": 3_500,
    "there and back twice": 1_700,
    "verify repairs meanwhile": 1_400,
    "a transaction is open": 2_000,
    "two appliers": 5_500,
    "TTL": 8_000,
    "TTL after a live copy": 3_000,
}
ROW = re.compile(r"^\| ([^|]+) \| (\d+) \| (\d+) \| (\d+|none) \|", re.MULTILINE)


def documented() -> dict[str, tuple[str, str, str]]:
    """What the page says of each broken variant: the invariant, steps until it breaks, steps until a write is lost."""
    rows = ROW.finditer(PAGE.read_text(encoding="utf-8"))
    return {row[1]: (row[2], row[3], row[4]) for row in rows}


@pytest.mark.parametrize("name", SOUND)
def test_writes_move_and_come_back_in_every_state(name: str) -> None:
    outcome = explore(Model(SOUND[name]))
    assert outcome.broken == "", f"\n{outcome}"
    assert outcome.states >= FLOORS[name]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_rule_left_out_breaks_an_invariant(name: str) -> None:
    variant = VARIANTS[name]
    broken = explore(variant.model)
    assert broken.broken.startswith(variant.breaks), f"\n{broken}"
    steps = "none"
    if variant.loses:
        lost = lost_write(variant.model)
        assert lost.broken.startswith(LOST), f"\n{lost}"
        steps = str(len(lost.trace))
    assert documented()[name] == (variant.breaks.partition(":")[0], str(len(broken.trace)), steps)


def test_each_rule_is_left_out_by_one_variant() -> None:
    rules = [each.name for each in fields(SwitchRules)]
    left_out = [[rule for rule in rules if not getattr(variant.rules, rule)] for variant in VARIANTS.values()]
    assert sorted(left_out) == sorted([rule] for rule in rules)


def test_the_page_lists_the_variants_that_exist() -> None:
    assert list(documented()) == list(VARIANTS)
