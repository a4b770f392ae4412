"""Writing against a table that enforces its throughput, by a clock that jumps: minutes of a copy in a second."""

from __future__ import annotations

import asyncio
import copy
import random
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb import BatchWriter, Client, Layout, Pace
from migrator.dynamodb.errors import GaveUpError, TooSlowError
from tests.support.metered_dynamodb import MeteredTable
from tests.unit.dynamodb.wire import error_answer, run_at_once, seeded, session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.dynamodb import Request, Response, Transport
    from tests.support.metered_dynamodb import Metered

pytestmark = pytest.mark.uncovered

LAYOUT = Layout("PK", {"by-status": ("Status",)})
STATUS = {"by-status": ("Status",)}


def item(number: int, *, key: str | None = None, status: str | None = None, size: int = 700) -> bytes:
    index = f',"Status":{{"S":"{status}"}}' if status else ""
    keys = f'"PK":{{"S":"{key or f"USER#{number}"}"}},"SK":{{"S":"{number}"}}{index}'
    return f'{{{keys},"D":{{"S":"{"x" * size}"}}}}'.encode()


async def keep_writing(
    table: MeteredTable,
    make: Callable[[int], bytes],
    *,
    pace: Pace | None = None,
    hands: int = 4,
    through: Transport | None = None,
) -> None:
    """Write pages as a copy does, several at a time, until cancelled."""
    written = 0
    async with Client(session(), backoff=seeded(), transport=through or table.send) as client:
        writer = BatchWriter(client, table.name, pace=pace, layout=LAYOUT)

        async def hand() -> None:
            nonlocal written
            while True:
                size = max(1, min(500, writer.items_within(4.0)))
                written += size
                await writer.write([make(number) for number in range(written - size, written)])

        await asyncio.gather(*(hand() for _ in range(hands)))


async def meter(table: MeteredTable, warm_up: float, until: float, *work: asyncio.Task[None]) -> Metered:
    """What happens at the table from the end of its warm-up on."""
    now = asyncio.get_running_loop().time()
    await asyncio.sleep(warm_up - now)
    before = copy.copy(table.metered)
    await asyncio.sleep(until - warm_up)
    for task in work:
        assert not task.done(), task.result()
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    return table.metered.minus(before)


def measured(  # noqa: PLR0913 - a scene
    warm_up: float,
    until: float,
    make: Callable[[int], bytes] = item,
    *,
    paces: Sequence[Pace | None] = (None,),
    write_units: float | None = None,
    index_units: float | None = None,
    burst: float = 1.0,
    reasons: bool = True,
) -> Metered:
    """What a writer, or several processes' writers, do to a table after the warm-up."""

    async def work() -> Metered:
        table = MeteredTable(
            write_units=write_units,
            indexes=STATUS,
            index_units={} if index_units is None else {"by-status": index_units},
            burst=burst,
            reasons=reasons,
            clock=asyncio.get_running_loop().time,
        )
        writers = [asyncio.create_task(keep_writing(table, make, pace=pace)) for pace in paces]
        return await meter(table, warm_up, until, *writers)

    return run_at_once(work())


@pytest.mark.parametrize(("units", "warm_up", "until"), [(5.0, 60.0, 1200.0), (60.0, 30.0, 400.0), (600.0, 10.0, 60.0)])
@pytest.mark.parametrize("reasons", [True, False])
def test_a_tables_limit_is_found_and_used_without_being_passed(
    units: float, warm_up: float, until: float, *, reasons: bool
) -> None:
    found = measured(warm_up, until, write_units=units, reasons=reasons)
    assert 0.95 * units <= found.taken / (until - warm_up) <= 1.01 * units
    assert found.throttled < 0.02 * found.requests


def test_a_limit_with_burst_is_found_once_the_burst_is_spent() -> None:
    found = measured(200.0, 600.0, write_units=30.0, burst=100.0)
    assert 0.95 * 30.0 <= found.taken / 400.0 <= 1.01 * 30.0
    assert found.throttled < 0.02 * found.requests


def test_processes_that_do_not_know_of_each_other_find_the_limit_together() -> None:
    found = measured(60.0, 240.0, write_units=300.0, paces=[None] * 2)
    assert 0.95 * 300.0 <= found.taken / 180.0 <= 1.01 * 300.0
    assert found.throttled < 0.02 * found.requests


def test_a_limit_that_is_raised_or_lowered_is_found_again() -> None:
    async def work() -> list[float]:
        table = MeteredTable(write_units=100.0, clock=asyncio.get_running_loop().time)
        writing = asyncio.create_task(keep_writing(table, item))
        taken = []
        for units in (100.0, 400.0, 50.0):
            table.limit(units)
            await asyncio.sleep(300.0)
            before = table.metered.taken
            await asyncio.sleep(60.0)
            taken.append((table.metered.taken - before) / 60.0 / units)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        return taken

    assert run_at_once(work()) == pytest.approx([1.0, 1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_refusals_that_no_rate_cures_do_not_bring_the_work_to_a_stand(share: float) -> None:
    async def work() -> float:
        table = MeteredTable(clock=asyncio.get_running_loop().time)
        drawn = random.Random(1)  # noqa: S311 - nothing here is a secret

        async def send(request: Request) -> Response:
            if drawn.random() < share:
                return error_answer("ProvisionedThroughputExceededException")
            return await table.send(request)

        writing = asyncio.create_task(keep_writing(table, item, through=send))
        found = await meter(table, 20.0, 30.0, writing)
        return found.taken / 10.0

    assert run_at_once(work()) > 4_000.0


def test_a_new_on_demand_table_is_not_flooded() -> None:
    # It takes 4,000 units per second at first: the pace begins there, and the first refusals end its growth.
    found = measured(0.0, 10.0, write_units=4_000.0)
    assert found.taken > 0.9 * 4_000.0 * 10.0
    assert found.throttled < 0.3 * found.requests


@pytest.mark.parametrize("index_units", [None, 1000.0])
def test_the_operators_limit_holds_with_the_share_of_the_indexes(index_units: float | None) -> None:
    def make(number: int) -> bytes:
        return item(number, status="new" if number % 3 else None)

    found = measured(2.0, 62.0, make, paces=[Pace(500.0)], write_units=1000.0, index_units=index_units)
    assert found.taken / 60.0 == pytest.approx(500.0, rel=0.05)
    assert found.throttled == 0


async def side_by_side(
    table: MeteredTable, *makers: Callable[[int], bytes], warm_up: float, until: float
) -> list[set[tuple[str, ...]]]:
    """Write pages of each kind at once through one writer; returns the keys that were written after the warm-up."""
    async with Client(session(), backoff=seeded(), transport=table.send) as client:
        writer = BatchWriter(client, "t", layout=LAYOUT)

        async def write(make: Callable[[int], bytes], first: int) -> None:
            while True:
                await writer.write([make(number) for number in range(first, first + 100)])
                first += 100

        work = [asyncio.create_task(write(make, 1_000_000 * place)) for place, make in enumerate(makers)]
        await asyncio.sleep(warm_up)
        before = set(table.items)
        await meter(table, warm_up, until, *work)
    after = set(table.items) - before
    return [{key for key in after if int(key[1]) // 1_000_000 == place} for place in range(len(makers))]


def test_an_index_at_its_limit_slows_only_the_items_in_it() -> None:
    async def work() -> tuple[int, int]:
        table = MeteredTable(
            write_units=300.0, indexes=STATUS, index_units={"by-status": 40.0}, clock=asyncio.get_running_loop().time
        )

        def marked(number: int) -> bytes:
            return item(number, status="new")

        inside, outside = await side_by_side(table, marked, item, warm_up=60.0, until=160.0)
        assert table.metered.reasons["IndexWriteProvisionedThroughputExceeded"] > 0
        return len(inside), len(outside)

    inside, outside = run_at_once(work())
    assert 0.75 * 4_000 < inside <= 1.01 * 4_000
    assert outside > 0.85 * (30_000 - 4_000)


def test_a_hot_partition_slows_its_keys_and_not_the_others() -> None:
    async def work() -> tuple[int, int]:
        table = MeteredTable(write_units=300.0, partition_units=40.0, clock=asyncio.get_running_loop().time)

        def hot(number: int) -> bytes:
            return item(number, key="HOT")

        slowed, others = await side_by_side(table, hot, item, warm_up=60.0, until=160.0)
        assert table.metered.reasons["TableWriteKeyRangeThroughputExceeded"] > 0
        return len(slowed), len(others)

    slowed, others = run_at_once(work())
    assert 0.75 * 4_000 < slowed <= 1.01 * 4_000
    assert others > 0.85 * (30_000 - 4_000)


def test_requests_are_no_larger_than_a_small_table_takes() -> None:
    async def work() -> float:
        table = MeteredTable(write_units=5.0, clock=asyncio.get_running_loop().time)
        async with Client(session(), backoff=seeded(), transport=table.send, patience=60.0) as client:
            written = await BatchWriter(client, "t").write([item(number, size=2500) for number in range(200)])
        assert written.items == len(table.items) == 200
        return asyncio.get_running_loop().time()

    # 600 units at 5 a second; the writer knows nothing of the table at first.
    assert 115.0 < run_at_once(work()) < 240.0


def test_an_item_larger_than_a_seconds_units_is_written() -> None:
    async def work() -> None:
        table = MeteredTable(write_units=5.0, clock=asyncio.get_running_loop().time)
        async with Client(session(), backoff=seeded(), transport=table.send, patience=60.0) as client:
            written = await BatchWriter(client, "t").write([item(number, size=20_000) for number in range(6)])
        assert written.items == 6

    run_at_once(work())


def test_what_a_slow_table_has_not_taken_by_the_deadline_is_told_apart_from_a_dead_one() -> None:
    async def work(table: MeteredTable, sent: Transport) -> None:
        async with Client(session(), backoff=seeded(), transport=sent, patience=60.0) as client:
            deadline = asyncio.get_running_loop().time() + 30.0
            await BatchWriter(client, table.name).write([item(number) for number in range(1000)], deadline=deadline)

    async def slow() -> None:
        table = MeteredTable(write_units=5.0, clock=asyncio.get_running_loop().time)
        await work(table, table.send)

    async def dead() -> None:
        async def refuse(_request: Request) -> Response:
            return error_answer("ProvisionedThroughputExceededException")

        await work(MeteredTable(), refuse)

    with pytest.raises(TooSlowError):
        run_at_once(slow())
    with pytest.raises(GaveUpError, match=r"unprocessed|not sent") as found:
        run_at_once(dead())
    assert not isinstance(found.value, TooSlowError)
