"""Conditional writes within a number of units per second, by a clock that jumps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from migrator.dynamodb import Client, Pace, Response, versions
from tests.unit.dynamodb.wire import run_at_once, seeded, session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from migrator.dynamodb import Request

WITHIN = 10.0
TAKEN = 3.0
SECONDS = 60.0


class Counting:
    """A target that takes everything, at three times what its items are estimated at."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.units = 0.0

    async def send(self, request: Request) -> Response:
        body = orjson.loads(request.body)
        self.requests.append(body)
        await asyncio.sleep(0.005)
        if "ReturnConsumedCapacity" not in body:
            return Response(200, {}, b"{}")
        self.units += TAKEN
        consumed: Any = {"TableName": "t", "CapacityUnits": TAKEN}
        consumed = [consumed] if request.operation == "TransactWriteItems" else consumed
        return Response(200, {}, orjson.dumps({"ConsumedCapacity": consumed}))


def put(size: int = 100) -> versions.Put:
    return versions.Put("t", b'{"PK":{"S":"%b"}}' % (b"x" * size), "PK", None)


async def put_one(client: Client, pace: Pace | None, deadline: float) -> bool:
    one = put()
    return await versions.put_where(
        client, "t", one.item, key_name=one.key_name, was=one.was, deadline=deadline, pace=pace
    )


async def put_two(client: Client, pace: Pace | None, deadline: float) -> bool:
    return await versions.put_all_where(client, [put(), put()], deadline=deadline, pace=pace)


async def bury(client: Client, pace: Pace | None, _deadline: float) -> bool:
    return await versions.delete_where(client, "t", {"PK": {"S": "x"}}, version="1", pace=pace)


async def keep(target: Counting, write: Callable[[Client, Pace | None, float], Awaitable[bool]]) -> None:
    """Many hands write for a minute, each with ten seconds for what it sends."""
    time = asyncio.get_running_loop().time
    end, pace = time() + SECONDS, Pace(WITHIN)
    async with Client(session(), backoff=seeded(), transport=target.send) as client:

        async def hand() -> None:
            while time() < end:
                await write(client, pace, min(time() + 10.0, end))

        await asyncio.gather(*(hand() for _ in range(8)))


@pytest.mark.parametrize("write", [put_one, put_two])
def test_the_limit_is_kept_by_what_was_consumed_and_used(
    write: Callable[[Client, Pace | None, float], Awaitable[bool]],
) -> None:
    target = Counting()
    run_at_once(keep(target, write))
    assert 0.9 * WITHIN * SECONDS <= target.units <= 1.05 * WITHIN * SECONDS


def test_a_purge_keeps_it_too() -> None:
    target = Counting()

    async def purge() -> float:
        loop, pace = asyncio.get_running_loop(), Pace(WITHIN)
        began = loop.time()
        async with Client(session(), backoff=seeded(), transport=target.send) as client:
            for _ in range(100):
                assert await bury(client, pace, 0.0)
        return loop.time() - began

    assert run_at_once(purge()) == pytest.approx(100 * TAKEN / WITHIN, rel=0.05)


def test_what_is_too_large_for_the_time_there_is_goes_all_the_same_and_what_comes_late_does_not() -> None:
    target = Counting()

    async def write() -> list[bool]:
        loop, pace = asyncio.get_running_loop(), Pace(1.0)
        large = put(300_000)
        async with Client(session(), backoff=seeded(), transport=target.send) as client:
            done = await versions.put_where(
                client, "t", large.item, key_name="PK", was=None, deadline=loop.time() + 10.0, pace=pace
            )
            pace.settle(0.0, 300.0 - TAKEN)
            return [done, await put_one(client, pace, loop.time() + 10.0)]

    assert run_at_once(write()) == [True, False]
    assert len(target.requests) == 1


def test_without_a_pace_nothing_is_counted() -> None:
    target = Counting()

    async def write() -> bool:
        async with Client(session(), backoff=seeded(), transport=target.send) as client:
            return await put_one(client, None, asyncio.get_running_loop().time() + 1.0)

    assert run_at_once(write())
    assert "ReturnConsumedCapacity" not in target.requests[0]
