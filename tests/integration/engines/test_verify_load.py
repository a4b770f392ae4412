"""Verification while the source is written to: what differs is found, and what was only changed is not."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.adjudicating import assert_only_what_differs_is_found

if TYPE_CHECKING:
    from tests.support.migration import Migration

RATE = 200.0


@pytest.mark.uncovered
async def test_only_what_differs_is_found_under_load(miyabi: Migration) -> None:
    seed = secrets.randbits(32)
    sys.stdout.write(f"seed {seed}\n")
    seen = await assert_only_what_differs_is_found(miyabi, seed, seconds=0, rate=RATE, every=4)
    sys.stdout.write(f"{seen.show()}\n")
    assert seen.found >= 50
