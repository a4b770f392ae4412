"""A copy that is killed fifty times, at any moment, and run again each time."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.soak.conftest import HUNDRED_THOUSAND
from tests.support.kills import ROOT, Killer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.migration import Migration

KILLS = 50


@pytest.mark.soak
@pytest.mark.parametrize("workers", [1, 2])
async def test_a_copy_killed_fifty_times_ends_with_every_item(
    large: Migration, tell: Callable[[str], None], workers: int
) -> None:
    seed = secrets.randbits(32)
    tell(f"seed {seed}")
    async with large.session() as session:
        killed = await Killer(large, session, HUNDRED_THOUSAND, seed=seed, workers=[workers]).run(KILLS)
    tell(killed.show())
    assert len(killed.kills) == KILLS
    assert sum(kill.in_the_middle for kill in killed.kills) >= KILLS * 3 // 4
    assert len({kill.rows for kill in killed.kills if 0 < kill.rows < HUNDRED_THOUSAND}) >= KILLS // 4
    if workers > 1:
        assert {"copy", "worker"} <= {kill.victim for kill in killed.kills}
    assert await large.differing() == []
    verified = subprocess.run(  # noqa: ASYNC221 - nothing else is to be done meanwhile
        [sys.executable, "-m", "migrator", "verify"],
        cwd=ROOT,
        env={**os.environ, **large.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
