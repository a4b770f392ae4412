from __future__ import annotations

import asyncio

import pytest

from migrator.dynamodb import Pace
from tests.unit.dynamodb.wire import run_at_once


def seconds_for(pace: Pace, amounts: list[float], consumed_per_reserved: float = 1.0) -> float:
    async def work() -> float:
        for amount in amounts:
            await pace.reserve(amount)
            pace.settle(amount, amount * consumed_per_reserved)
        return asyncio.get_running_loop().time()

    return run_at_once(work())


def test_amounts_of_any_size_pass_at_the_pace() -> None:
    assert seconds_for(Pace(50.0), [1000.0]) == pytest.approx(20.0, abs=0.2)
    assert seconds_for(Pace(50.0), [1.0] * 1000) == pytest.approx(20.0, abs=0.2)
    assert seconds_for(Pace(0.5), [2.0, 0.1, 2.9]) == pytest.approx(10.0, abs=0.2)


def test_the_first_second_keeps_the_limit_too() -> None:
    assert seconds_for(Pace(1000.0), [1000.0]) == pytest.approx(0.9, abs=0.01)


def test_an_estimate_that_was_low_is_paid_afterwards() -> None:
    assert seconds_for(Pace(100.0), [10.0] * 100, consumed_per_reserved=3.0) == pytest.approx(29.8, abs=0.3)


def test_an_estimate_that_was_high_is_given_back() -> None:
    assert seconds_for(Pace(100.0), [30.0] * 100, consumed_per_reserved=0.5) == pytest.approx(15.0, abs=0.3)


def test_all_who_share_a_pace_keep_it_together_in_their_order() -> None:
    async def work() -> None:
        pace, order = Pace(10.0), list[str]()

        async def take(name: str, amount: float) -> None:
            await pace.reserve(amount)
            order.append(name)

        await asyncio.gather(take("large", 50.0), take("small", 0.1), take("other", 10.0))
        assert order == ["large", "small", "other"]
        assert asyncio.get_running_loop().time() == pytest.approx(5.9, abs=0.1)

    run_at_once(work())


def test_without_a_limit_the_pace_doubles_from_that_of_a_new_table_for_as_long_as_nothing_is_throttled() -> None:
    assert seconds_for(Pace(), [50.0] * 40) == pytest.approx(0.3, abs=0.1)
    assert seconds_for(Pace(), [50.0] * 20_000) < 5.0


@pytest.mark.parametrize("units", [0.0, -1.0])
def test_a_pace_of_nothing_is_refused(units: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Pace(units)
