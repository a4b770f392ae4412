"""Reading a table that enforces its throughput, by a clock that jumps."""

from __future__ import annotations

import asyncio
import copy
from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.dynamodb import Client, Pace, scan
from migrator.dynamodb.errors import GaveUpError
from tests.support.metered_dynamodb import MeteredTable
from tests.unit.dynamodb.wire import error_answer, run_at_once, seeded, session

if TYPE_CHECKING:
    from migrator.dynamodb import Request, Response
    from tests.support.metered_dynamodb import Metered

pytestmark = pytest.mark.uncovered

ITEMS = 2_400


def filled(table: MeteredTable) -> MeteredTable:
    for number in range(ITEMS):
        table.items[f"USER#{number}", ""] = {"PK": {"S": f"USER#{number}"}, "SK": {"S": ""}, "D": {"S": "x" * 3_900}}
    return table


@pytest.mark.parametrize("segments", [1, 4])
@pytest.mark.parametrize(
    ("read_units", "max_units", "warm_up"), [(5.0, None, 60.0), (20.0, None, 25.0), (1000.0, 10.0, 2.0)]
)
def test_a_table_is_read_at_its_limit_or_the_operators(
    segments: int, read_units: float, max_units: float | None, warm_up: float
) -> None:
    async def work() -> tuple[float, Metered]:
        table = filled(MeteredTable(read_units=read_units, clock=asyncio.get_running_loop().time))
        async with Client(session(), backoff=seeded(), transport=table.send) as client:
            pace = Pace(max_units)

            async def segment(number: int) -> int:
                pages = scan(client, "t", segment=number, total_segments=segments, consistent=False, pace=pace)
                return sum([len(page.items) async for page in pages])

            reading = asyncio.gather(*map(segment, range(segments)))
            # Until the limit is known, pages are refused, and halved each time.
            await asyncio.sleep(warm_up)
            before = copy.copy(table.metered)
            assert sum(await reading) == ITEMS
        return asyncio.get_running_loop().time() - warm_up, table.metered.minus(before)

    seconds, metered = run_at_once(work())
    units = min(read_units, max_units or read_units)
    assert 0.9 * units < metered.read / seconds < 1.02 * units
    assert metered.throttled < 0.02 * metered.requests + 1


def test_pages_have_the_size_that_was_asked_for_where_the_table_gives_them() -> None:
    async def work() -> None:
        table = filled(MeteredTable(clock=asyncio.get_running_loop().time))
        async with Client(session(), backoff=seeded(), transport=table.send) as client:
            sizes = [len(page.items) async for page in scan(client, "t", limit=1_000)]
            assert sum(sizes) == ITEMS
            assert set(sizes[:-1]) == {266}  # 1 MB each
            assert len((await anext(scan(client, "t", limit=100))).items) == 100

    run_at_once(work())


def test_a_table_that_gives_nothing_ends_with_the_patience() -> None:
    async def work() -> None:
        sizes: list[int] = []

        async def refuse(request: Request) -> Response:
            sizes.append(orjson.loads(request.body).get("Limit", 0))
            return error_answer("ProvisionedThroughputExceededException")

        async with Client(session(), backoff=seeded(), transport=refuse, patience=60.0) as client:
            with pytest.raises(GaveUpError, match="Scan on table t was throttled"):
                await anext(scan(client, "t"))
        assert sizes[-1] == 1

    run_at_once(work())
