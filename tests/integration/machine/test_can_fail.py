"""The machine finds what it is there for: with a rule of the protocol left out, a write is lost, and it says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.machine.repairing import LostError
from tests.support.machine.stories import STORIES
from tests.support.machine.variants import VARIANTS

if TYPE_CHECKING:
    from tests.support.machine.sequences import Running

pytestmark = pytest.mark.uncovered


@pytest.mark.parametrize("rule", STORIES)
def test_nothing_is_lost_with_the_rule(running: Running, rule: str) -> None:
    world, runner = running
    runner.run(STORIES[rule](world))
    runner.run(world.settle())


@pytest.mark.parametrize("rule", STORIES)
def test_a_write_is_lost_without_the_rule(running: Running, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world, runner = running
    VARIANTS[rule](monkeypatch)
    runner.run(STORIES[rule](world))
    with pytest.raises(LostError, match="source and target differ"):
        runner.run(world.settle())


def test_every_rule_has_its_story() -> None:
    assert STORIES.keys() == VARIANTS.keys()
