"""Random sequences of writes, copies, relays, mirrors, deaths and late requests end with nothing lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.machine.sequences import SETTINGS, sequences_in

if TYPE_CHECKING:
    from tests.support.machine.sequences import Running

pytestmark = pytest.mark.uncovered

_SEQUENCES: Final = 25
_STEPS: Final = 25


@pytest.mark.parametrize("running", range(4), indirect=True)
def test_nothing_is_lost(running: Running, request: pytest.FixtureRequest) -> None:
    """A hundred sequences in four parts, so that workers share them."""
    world, _ = running
    machine = seed(request.node.callspec.params["running"])(sequences_in(*running))
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=_SEQUENCES, stateful_step_count=_STEPS))
    assert world.figures.done["sequences"] >= _SEQUENCES
    assert world.figures.crashed.total() > 0
