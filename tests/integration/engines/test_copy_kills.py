"""A copy that is killed at any moment goes on when it is run again. The long form is in `tests/soak`."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

import pytest

from tests.integration.engines.conftest import LARGE
from tests.support.kills import Killer

if TYPE_CHECKING:
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered

KILLS = 5


async def test_a_killed_copy_goes_on(large: Migration) -> None:
    seed = secrets.randbits(32)
    async with large.session() as session:
        killed = await Killer(large, session, LARGE, seed=seed, workers=(1, 2)).run(KILLS)
    sys.stdout.write(f"seed {seed}\n{killed.show()}\n")
    assert len(killed.kills) == KILLS
    assert any(kill.in_the_middle for kill in killed.kills)
    assert await large.differing() == []
    assert (await large.verify()).clean
