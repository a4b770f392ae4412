"""Ten minutes of writes, and verification all the while."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from tests.support.adjudicating import assert_only_what_differs_is_found

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.migration import Migration
    from tests.support.stores import DynamoDBStore

SECONDS = 600
RATE = 250.0


@pytest.fixture
def dynamodb(fastest_dynamodb: DynamoDBStore) -> DynamoDBStore:
    """The load is to be the application's."""
    return fastest_dynamodb


@pytest.mark.soak
async def test_only_what_differs_is_found_under_load(miyabi: Migration, tell: Callable[[str], None]) -> None:
    seed = secrets.randbits(32)
    tell(f"seed {seed}")
    seen = await assert_only_what_differs_is_found(miyabi, seed, seconds=SECONDS, rate=RATE, every=1)
    tell(seen.show())
    assert seen.verifications >= 10
