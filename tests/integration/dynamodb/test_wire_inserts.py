"""Items are inserted where nothing is, and nowhere else, on each DynamoDB that can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.dynamodb import Backoff, BatchWriter, Client, InsertWriter, Layout, Pace, scan
from migrator.dynamodb.errors import AccessDeniedError, TableMissingError
from tests.integration.dynamodb.test_wire_items import ITEMS, TEXTS, by_key, wire_item
from tests.support.faults import Cut, StatementErrors, server_error, throttle

if TYPE_CHECKING:
    from migrator.mapping import WireItem
    from tests.support.fault_proxy import FaultProxy
    from tests.support.target import Target

QUICK = Backoff(base=0.001, cap=0.01)
TOMBSTONE = {"PK": ITEMS[3]["PK"], "SK": ITEMS[3]["SK"], "_v": {"N": "12"}, "_del": {"N": "1"}}


def writer(client: Client, target: Target, *, pace: Pace | None = None) -> InsertWriter:
    return InsertWriter(client, target.table.name, layout=Layout.of(target.table), pace=pace)


async def stored(client: Client, target: Target) -> dict[tuple[str, str], WireItem]:
    return by_key([item async for page in scan(client, target.table.name) for item in page.items])


async def test_what_a_key_holds_already_is_left(target: Target) -> None:
    older = [orjson.dumps({**wire_item(number), "Status": {"S": "kept"}}) for number in (0, 2)]
    async with target.client() as client:
        await BatchWriter(client, target.table.name).write([*older, orjson.dumps(TOMBSTONE)])
        written = await writer(client, target).write(TEXTS[:60])
        assert (written.items, written.present, written.requests, written.refused) == (57, 3, 3, [])
        assert written.consumed >= 57
        found = await stored(client, target)
        kept = [orjson.loads(text) for text in older]
        assert found == by_key([*kept, TOMBSTONE, ITEMS[1], *ITEMS[4:60]])
        again = await writer(client, target).write(TEXTS[:60])
        assert (again.items, again.present) == (0, 60)


async def test_an_item_whose_statement_would_be_too_long_is_put_by_itself(target: Target) -> None:
    long = {**wire_item(1), **{f"an attribute's name, as long as can be {number}": {"S": "v"} for number in range(250)}}
    large = {**wire_item(2), "Text": {"S": "x" * 20_000}}
    held = {**wire_item(4), **{f"{number}": {"S": "v" * 60} for number in range(2000)}}
    items = [wire_item(0), long, large, wire_item(3), held]
    async with target.client() as client:
        await BatchWriter(client, target.table.name).write([orjson.dumps(wire_item(4))])
        written = await writer(client, target).write(list(map(orjson.dumps, items)))
        assert (written.items, written.present, written.requests) == (4, 1, 3)
        assert await stored(client, target) == by_key([*items[:4], wire_item(4)])


async def test_one_bad_item_stops_no_other(target: Target) -> None:
    bad = orjson.dumps({**wire_item(7), "PK": {"S": ""}})
    async with target.client() as client:
        written = await writer(client, target).write([*TEXTS[:30], bad, *TEXTS[30:60]])
        assert written.items == 60
        assert [(refused.item, refused.code) for refused in written.refused] == [(bad, "ValidationException")]
        assert await stored(client, target) == by_key(ITEMS[:60])


async def test_every_item_is_there_once_through_throttling_faults_and_cut_connections(
    behind_proxy: Target, proxy: FaultProxy
) -> None:
    proxy.inject(throttle(), on="BatchExecuteStatement", rate=0.1)
    proxy.inject(server_error(applied=True), on="BatchExecuteStatement", rate=0.1)
    proxy.inject(Cut("before"), on="BatchExecuteStatement", rate=0.05)
    proxy.inject(Cut("after"), on="BatchExecuteStatement", rate=0.05)
    for code in ("ProvisionedThroughputExceeded", "ThrottlingError", "InternalServerError", "TransactionConflict"):
        proxy.inject(StatementErrors(code, 0.3), on="BatchExecuteStatement", rate=0.15)
    proxy.inject(StatementErrors("InternalServerError", 0.2, applied=True), on="BatchExecuteStatement", rate=0.1)
    # A refusal that the item does not deserve: asked by itself, it is put.
    proxy.inject(StatementErrors("ValidationError", 0.1), on="BatchExecuteStatement", rate=0.1)
    async with Client(behind_proxy.session, backoff=QUICK) as client:
        written = await writer(client, behind_proxy, pace=Pace(20_000.0)).write(TEXTS)
        assert written.items + written.present == 1000
        assert written.refused == []
        assert proxy.applied["StatementErrors"] > 0
        assert client.counts.retries["statement"] > 0
        assert await stored(client, behind_proxy) == by_key(ITEMS)


async def test_a_right_that_is_missing_ends_it(behind_proxy: Target, proxy: FaultProxy) -> None:
    proxy.inject(StatementErrors("AccessDenied"), on="BatchExecuteStatement")
    async with behind_proxy.client() as client:
        with pytest.raises(AccessDeniedError, match=r"BatchExecuteStatement on table .* is not allowed"):
            await writer(client, behind_proxy).write(TEXTS[:5])


async def test_a_table_that_is_missing_ends_it(target: Target) -> None:
    async with target.client() as client:
        missing = InsertWriter(client, f"{target.table.name}-gone", layout=Layout.of(target.table))
        with pytest.raises(TableMissingError):
            await missing.write(TEXTS[:5])
