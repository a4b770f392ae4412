from __future__ import annotations

import asyncio
import random

import pytest

from migrator.dynamodb import Backoff
from migrator.dynamodb.retry import Patience
from tests.unit.dynamodb.wire import run_at_once


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - nothing here is a secret


def delays_of(backoff: Backoff, count: int) -> list[float]:
    return [backoff.delay(attempts) for attempts in range(1, count + 1)]


def test_delays_lie_below_a_ceiling_that_doubles_up_to_the_cap() -> None:
    ceilings = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    for seed in range(50):
        delays = delays_of(Backoff(base=0.1, cap=1.0, random=seeded(seed)), 6)
        assert all(0 <= delay <= ceiling for delay, ceiling in zip(delays, ceilings, strict=True))


def test_delays_stay_at_the_cap_after_any_number_of_attempts() -> None:
    assert max(Backoff(cap=1.0, random=seeded(3)).delay(attempts) for attempts in (100, 10_000, 1_000_000)) <= 1.0


def test_the_same_seed_gives_the_same_delays_and_another_one_others() -> None:
    def ten(seed: int) -> list[float]:
        return delays_of(Backoff(random=seeded(seed)), 10)

    assert ten(7) == ten(7)
    assert ten(7) != ten(8)


def test_patience_ends_before_the_deadline_and_counts_its_attempts() -> None:
    async def until_over() -> tuple[int, float]:
        patience = Patience(Backoff(base=1.0, cap=4.0, random=seeded(1)), 60.0)
        pauses = 0
        while await patience.pause():
            pauses += 1
        assert patience.attempts == pauses + 1
        assert patience.seconds == pytest.approx(asyncio.get_running_loop().time())
        return pauses, patience.seconds

    pauses, seconds = run_at_once(until_over())
    assert pauses > 10
    assert 50.0 < seconds < 60.0


def test_a_given_deadline_takes_the_place_of_the_patience() -> None:
    async def pauses() -> bool:
        return await Patience(Backoff(), 60.0, deadline=asyncio.get_running_loop().time()).pause()

    assert run_at_once(pauses()) is False
