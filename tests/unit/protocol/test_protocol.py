"""The write protocol holds, whatever crashes, comes twice or late; and it does not without any one of its rules."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tests.unit.protocol.checker import explore, lost_write
from tests.unit.protocol.invariants import LOST
from tests.unit.protocol.rules import Model, Rules
from tests.unit.protocol.variants import SOUND, VARIANTS

pytestmark = pytest.mark.uncovered

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "protocol.md"
# A model that has lost its steps would hold, too.
FLOORS = {
    "one key, written, deleted and inserted again": 6_000,
    "one key, two reconcilers": 13_000,
    "a moved key, two reconcilers": 9_000,
    "two keys, swapped and swapped back": 15_000,
    "a key moved on": 7_000,
    "live copy beside the relay": 8_000,
    "turbo copy, killed, then relay and live copy": 15_000,
    "back to prepare, turbo copy again": 15_000,
    "tombstones purged": 10_000,
    "tombstones purged beside live copy": 2_500,
    "transactions that commit out of order": 10_000,
    "verify repairs beside live copy": 15_000,
}


ROW = re.compile(r"^\| ([^|]+) \| (\d) \| (\d+) \| (\d+|none) \|", re.MULTILINE)


def documented() -> dict[str, tuple[str, str, str]]:
    """What the page says of each broken variant: the invariant, steps until it breaks, steps until a write is lost."""
    rows = ROW.finditer(PAGE.read_text(encoding="utf-8"))
    return {row[1]: (row[2], row[3], row[4]) for row in rows}


@pytest.mark.parametrize("name", SOUND)
def test_the_protocol_holds_in_every_state(name: str) -> None:
    outcome = explore(Model(SOUND[name]))
    assert outcome.broken == "", f"\n{outcome}"
    assert outcome.states >= FLOORS[name]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_rule_left_out_breaks_an_invariant_and_loses_a_write(name: str) -> None:
    variant = VARIANTS[name]
    broken = explore(variant.model)
    assert broken.broken.startswith(variant.breaks), f"\n{broken}"
    steps = "none"
    if variant.loses:
        lost = lost_write(variant.model)
        assert lost.broken.startswith(LOST), f"\n{lost}"
        steps = str(len(lost.trace))
    assert documented()[name] == (variant.breaks[0], str(len(broken.trace)), steps)


def test_each_rule_is_left_out_by_one_variant() -> None:
    rules = [each.name for each in fields(Rules)]
    left_out = [[rule for rule in rules if not getattr(variant.rules, rule)] for variant in VARIANTS.values()]
    assert sorted(left_out) == sorted([rule] for rule in rules)


def test_a_trace_tells_who_does_what_and_what_breaks() -> None:
    assert str(explore(VARIANTS["all the row's marks deleted"].model)).splitlines() == [
        "  1. application: commits: update r1 to 1, mark 1",
        "  2. relay 1 claims mark 1 (r1: A)",
        "  3. relay 1 reads the target: A is r1=0 v0",
        "  4. relay 1 takes its snapshot: marks 1; A should be r1=1",
        "  5. application: commits: update r1 to 0, mark 2",
        "  6. relay 1 sends A := r1=1 as v1 if v0",
        "  7. the request A := r1=1 if v0 is applied; relay 1 is told",
        "  8. relay 1 deletes marks: 1 2",
        "     BROKEN: 4: a mark disappears only when the target holds a state at least as new: A",
    ]


def test_the_page_lists_the_variants_that_exist() -> None:
    assert list(documented()) == list(VARIANTS)
