from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.dynamodb import (
    Backoff,
    BatchWriter,
    Client,
    Pace,
    batch_get,
    delete_item,
    get_item,
    put_item,
    query,
    scan,
)
from tests.support.faults import Cut, Unprocessed, server_error, throttle

if TYPE_CHECKING:
    from migrator.mapping import WireItem
    from tests.support.fault_proxy import FaultProxy
    from tests.support.target import Target

QUICK = Backoff(base=0.001, cap=0.01)
TEXT = 'naïve \u2014 "quoted"\n\u0000 \U0001f600 ' * 8


def wire_item(number: int) -> WireItem:
    return {
        "PK": {"S": f"USER#{number % 50}"},
        "SK": {"S": f"ORDER#{number:06d}"},
        "Status": {"S": "open" if number % 3 else "closed"},
        "Data": {
            "M": {"text": {"S": TEXT}, "price": {"N": f"{number}.5"}, "tags": {"L": [{"NULL": True}, {"BOOL": True}]}}
        },
    }


ITEMS = [wire_item(number) for number in range(1000)]
TEXTS = [orjson.dumps(item) for item in ITEMS]


def by_key(items: list[WireItem]) -> dict[tuple[str, str], WireItem]:
    found = {(item["PK"]["S"], item["SK"]["S"]): item for item in items}
    assert len(found) == len(items)
    return found


async def read_all(client: Client, table_name: str, segments: int = 1) -> list[WireItem]:
    async def segment(number: int) -> list[WireItem]:
        pages = scan(client, table_name, segment=number, total_segments=segments, limit=100)
        return [item async for page in pages for item in page.items]

    found = await asyncio.gather(*map(segment, range(segments)))
    return [item for items in found for item in items]


async def test_a_thousand_items_are_written_and_read_back_once_each_from_four_segments(target: Target) -> None:
    async with target.client() as client:
        written = await BatchWriter(client, target.table.name).write(TEXTS)
        assert (written.items, written.requests, written.refused) == (1000, 40, [])
        assert written.consumed >= 1000
        assert by_key(await read_all(client, target.table.name, segments=4)) == by_key(ITEMS)


async def test_a_paced_writer_and_a_paced_scan_lose_nothing(target: Target) -> None:
    async with target.client() as client:
        await BatchWriter(client, target.table.name, pace=Pace(20_000.0), index_share=1.0).write(TEXTS)
        pages = [page async for page in scan(client, target.table.name, limit=300, pace=Pace(20_000.0))]
    assert by_key([item for page in pages for item in page.items]) == by_key(ITEMS)
    assert all(page.consumed > 0 for page in pages)


async def test_a_scan_goes_on_after_the_key_it_is_given(target: Target) -> None:
    async with target.client() as client:
        await BatchWriter(client, target.table.name).write(TEXTS[:100])
        first = await anext(scan(client, target.table.name, limit=40))
        rest = [item async for page in scan(client, target.table.name, start_key=first.last_key) for item in page.items]
    assert len(first.items) == 40
    assert by_key(first.items + rest) == by_key(ITEMS[:100])


async def test_one_bad_item_stops_no_other(target: Target) -> None:
    bad = [b'{"PK":{"S":"no sort key"}}', b'{"PK":{"S":"p"},"SK":{"N":"1"}}', b'{"PK":{"S":""},"SK":{"S":"s"}}']
    async with target.client() as client:
        written = await BatchWriter(client, target.table.name).write([*TEXTS[:30], *bad, *TEXTS[30:60]])
        assert written.items == 60
        assert sorted(refused.item for refused in written.refused) == sorted(bad)
        assert {refused.code for refused in written.refused} == {"ValidationException"}
        assert by_key(await read_all(client, target.table.name)) == by_key(ITEMS[:60])


async def test_an_item_that_is_no_json_stops_no_other(target: Target) -> None:
    broken = b'{"PK":{"S":"p"},"SK":'
    async with target.client() as client:
        written = await BatchWriter(client, target.table.name).write([*TEXTS[:5], broken, *TEXTS[5:10]])
        assert [refused.item for refused in written.refused] == [broken]
        assert by_key(await read_all(client, target.table.name)) == by_key(ITEMS[:10])


@pytest.mark.uncovered
async def test_every_item_arrives_through_throttling_faults_and_cut_connections(
    behind_proxy: Target, proxy: FaultProxy
) -> None:
    proxy.inject(throttle(), on="BatchWriteItem", rate=0.1)
    proxy.inject(server_error(applied=True), on="BatchWriteItem", rate=0.1)
    proxy.inject(Cut("before"), on="BatchWriteItem", rate=0.05)
    proxy.inject(Cut("after"), on="BatchWriteItem", rate=0.05)
    proxy.inject(Cut("midway"), on="BatchWriteItem", rate=0.05)
    proxy.inject(Unprocessed(0.4), on="BatchWriteItem", rate=0.5)
    async with Client(behind_proxy.session, backoff=QUICK) as client:
        written = await BatchWriter(client, behind_proxy.table.name).write(TEXTS)
        assert written.items == 1000
        assert written.unprocessed_retries > 0
        assert client.counts.retries["throttled"] > 0
        assert client.counts.retries["server"] > 0
        assert client.counts.retries["connection"] > 0
        assert by_key(await read_all(client, behind_proxy.table.name)) == by_key(ITEMS)


async def test_reading_survives_the_same_faults(behind_proxy: Target, proxy: FaultProxy) -> None:
    async with Client(behind_proxy.session, backoff=QUICK) as client:
        await BatchWriter(client, behind_proxy.table.name).write(TEXTS[:300])
        proxy.inject(throttle("ThrottlingException"), rate=0.2)
        proxy.inject(Cut("midway"), rate=0.2)
        proxy.inject(Unprocessed(0.5), on="BatchGetItem", rate=0.5)
        assert by_key(await read_all(client, behind_proxy.table.name, segments=2)) == by_key(ITEMS[:300])
        keys = [{"PK": item["PK"], "SK": item["SK"]} for item in ITEMS[:250]]
        assert by_key(await batch_get(client, behind_proxy.table.name, keys)) == by_key(ITEMS[:250])


async def test_single_items_are_put_read_and_deleted(target: Target) -> None:
    name, key = target.table.name, {"PK": ITEMS[7]["PK"], "SK": ITEMS[7]["SK"]}
    async with target.client() as client:
        assert await get_item(client, name, key) is None
        await put_item(client, name, TEXTS[7])
        assert await get_item(client, name, key) == ITEMS[7]
        await delete_item(client, name, key)
        await delete_item(client, name, key)
        assert await get_item(client, name, key) is None
        assert await batch_get(client, name, [key]) == []


@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_a_query_gives_its_pages_in_order(target: Target, limit: int) -> None:
    request = {
        "TableName": target.table.name,
        "IndexName": "ByStatus",
        "KeyConditionExpression": "#s = :s AND begins_with(SK, :p)",
        "ExpressionAttributeNames": {"#s": "Status"},
        "ExpressionAttributeValues": {":s": {"S": "closed"}, ":p": {"S": "ORDER#"}},
        "ScanIndexForward": False,
        "Limit": limit,
    }
    async with target.client() as client:
        await BatchWriter(client, target.table.name).write(TEXTS[:60])
        found = [item async for page in query(client, request) for item in page.items]
    assert found == [item for item in reversed(ITEMS[:60]) if item["Status"]["S"] == "closed"]
