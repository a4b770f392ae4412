from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from migrator.dynamodb import BatchWriter, Client, Pace, Request, Response
from migrator.dynamodb.errors import GaveUpError, TableMissingError
from tests.unit.dynamodb.wire import answer, error_answer, run_at_once, session

if TYPE_CHECKING:
    from collections.abc import Callable


def item(number: int, text: str = "é\\n\\u0000😀") -> bytes:
    return f'{{"PK":{{"S":"USER#{number}"}},"Name":{{"S":"{text}"}}}}'.encode()


def key(put: Any) -> str:  # noqa: ANN401 - a part of parsed JSON
    return str(put["PutRequest"]["Item"]["PK"]["S"])


def puts(request: Request) -> list[Any]:
    found: list[Any] = orjson.loads(request.body)["RequestItems"]["t"]
    return found


class Table:
    """A DynamoDB of one table in a few lines: it keeps what is put, refuses some keys, and leaves some for later."""

    def __init__(
        self, *, refused: frozenset[str] = frozenset(), leave: Callable[[int], int] = lambda _request: 0
    ) -> None:
        self.items: dict[str, Any] = {}
        self.sizes: list[int] = []
        self._refused = refused
        self._leave = leave

    async def send(self, request: Request) -> Response:
        requested = puts(request)
        self.sizes.append(len(requested))
        if any(key(put) in self._refused for put in requested):
            return error_answer("ValidationException", "no such key")
        taken = len(requested) - min(len(requested), self._leave(len(self.sizes)))
        self.items |= {key(put): put["PutRequest"]["Item"] for put in requested[:taken]}
        left = requested[taken:]
        consumed = [{"TableName": "t", "CapacityUnits": float(taken)}]
        return answer({"UnprocessedItems": {"t": left} if left else {}, "ConsumedCapacity": consumed})


async def test_the_body_is_the_request_with_the_items_as_they_were_given() -> None:
    bodies: list[bytes] = []

    async def send(request: Request) -> Response:
        bodies.append(request.body)
        return answer({"UnprocessedItems": {}})

    async with Client(session(), transport=send) as client:
        await BatchWriter(client, "t").write([item(1), item(2)])
    opening = b'{"ReturnConsumedCapacity":"TOTAL","RequestItems":{"t":[{"PutRequest":{"Item":'
    assert bodies == [opening + item(1) + b'}},{"PutRequest":{"Item":' + item(2) + b"}}]}}"]


async def test_a_request_carries_25_items_and_large_ones_go_alone() -> None:
    table = Table()
    large = [item(number, "x" * 700_000) for number in range(100, 125)]
    async with Client(session(), transport=table.send) as client:
        written = await BatchWriter(client, "t").write([item(number) for number in range(55)])
        assert table.sizes == [25, 25, 5]
        assert (written.items, written.requests, written.consumed) == (55, 3, 55.0)
        table.sizes.clear()
        await BatchWriter(client, "t").write(large)
    assert table.sizes == [1] * 25
    assert len(table.items) == 80


async def test_no_items_are_no_request() -> None:
    table = Table()
    async with Client(session(), transport=table.send) as client:
        assert (await BatchWriter(client, "t").write([])).requests == 0


def test_what_is_left_unprocessed_is_sent_until_it_is_written() -> None:
    table = Table(leave=lambda request: 20 if request % 3 else 0)

    async def work() -> None:
        items = [item(number) for number in range(200)]
        async with Client(session(), transport=table.send) as client:
            written = await BatchWriter(client, "t").write(items)
        assert written.items == 200
        assert written.requests == len(table.sizes)
        assert written.unprocessed_retries > 8
        assert table.items == {f"USER#{number}": orjson.loads(item(number)) for number in range(200)}

    run_at_once(work())


def test_a_table_that_takes_nothing_ends_with_the_patience() -> None:
    async def work() -> None:
        table = Table(leave=lambda _request: 25)
        async with Client(session(), transport=table.send, patience=60.0) as client:
            with pytest.raises(GaveUpError, match="table t left 25 items unprocessed") as found:
                await BatchWriter(client, "t").write([item(number) for number in range(100)])
        assert found.value.safe is not None
        assert 30.0 < asyncio.get_running_loop().time() < 60.0

    run_at_once(work())


def test_a_table_that_takes_an_item_now_and_then_is_not_given_up() -> None:
    async def work() -> None:
        table = Table(leave=lambda request: 25 if request % 14 else 3 - request // 14)
        async with Client(session(), transport=table.send, patience=60.0) as client:
            written = await BatchWriter(client, "t").write([item(number) for number in range(3)])
        assert written.items == 3
        assert asyncio.get_running_loop().time() > 60.0

    run_at_once(work())


@pytest.mark.parametrize("bad", [{0}, {24}, {3, 4}, {0, 13, 24, 30}, set(range(60))])
async def test_items_that_are_refused_are_found_and_all_others_written(bad: set[int]) -> None:
    table = Table(refused=frozenset(f"USER#{number}" for number in bad))
    async with Client(session(), transport=table.send) as client:
        written = await BatchWriter(client, "t").write([item(number) for number in range(60)])
    assert sorted(one.item for one in written.refused) == sorted(item(number) for number in bad)
    assert {(one.code, one.message) for one in written.refused} == {("ValidationException", "no such key")}
    assert set(table.items) == {f"USER#{number}" for number in range(60) if number not in bad}
    assert written.items == 60 - len(bad)


def test_a_failure_that_concerns_the_table_ends_the_work() -> None:
    async def work() -> None:
        sent = 0

        async def send(_request: Request) -> Response:
            nonlocal sent
            sent += 1
            await asyncio.sleep(float(sent))
            return error_answer("ResourceNotFoundException")

        async with Client(session(), transport=send, max_in_flight=4) as client:
            with pytest.raises(TableMissingError, match="table t does not exist"):
                await BatchWriter(client, "t").write([item(number) for number in range(1000)])
        assert sent == 4
        assert asyncio.get_running_loop().time() == pytest.approx(1.0, abs=0.01)

    run_at_once(work())


def test_the_pace_is_kept_though_indexes_and_sizes_are_not_foreseen() -> None:
    async def work() -> float:
        units = 0.0

        async def send(request: Request) -> Response:
            nonlocal units
            consumed = 3.0 * len(puts(request))
            units += consumed
            return answer({"UnprocessedItems": {}, "ConsumedCapacity": [{"TableName": "t", "CapacityUnits": consumed}]})

        async with Client(session(), transport=send, max_in_flight=2) as client:
            written = await BatchWriter(client, "t", pace=Pace(100.0)).write([item(number) for number in range(1000)])
        assert written.consumed == units == 3000.0
        return asyncio.get_running_loop().time()

    # Two requests in flight are at most 150 units that were sent before they were known of.
    assert 28.0 < run_at_once(work()) < 31.0
