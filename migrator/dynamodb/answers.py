"""Answers to an application's questions: access patterns, asked page by page as they are declared.

They are read consistently where DynamoDB offers that: from a table, not from an index of it.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from migrator.dynamodb.pages import Page, pages
from migrator.mapping import Get
from migrator.mapping.item_witness import is_expired

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.mapping import Entity, Pattern, Row, WireItem


def is_consistent(pattern: Pattern) -> bool:
    """Whether DynamoDB answers with all that was written before: it does not from an index."""
    return isinstance(pattern, Get) or pattern.index is None


async def page(
    client: Client,
    pattern: Pattern,
    row: Row,
    *,
    limit: int,
    start_key: WireItem | None = None,
    pace: Pace | None = None,
) -> Page[WireItem]:
    """One page of an answer: at most `limit` items after `start_key`, tombstones and expired ones among them.

    Args:
        client: the client to ask through.
        pattern: the access pattern; of a Get, the only page is the item or nothing.
        row: the values to ask with, as a row has them.
        limit: items of the page.
        start_key: where it starts, as the page before has said.
        pace: the read units per second to stay within.

    Raises:
        UsageError: no item can have a key of these values.
        TargetError: DynamoDB cannot be reached or used.
    """
    if isinstance(pattern, Get):
        request = {**pattern.request_for(row), "ConsistentRead": True, "ReturnConsumedCapacity": "TOTAL"}
        answer = await client.call("GetItem", orjson.dumps(request), table=request["TableName"])
        consumed = float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 1.0))
        return Page([answer["Item"]] if "Item" in answer else [], None, consumed)
    asked: dict[str, Any] = pattern.request_for(row, limit=limit, start_key=start_key)
    asked["ConsistentRead"] = is_consistent(pattern)
    async with aclosing(pages(client, "Query", asked, pace=pace)) as answered:
        return await anext(answered)


def alive(entity: Entity, items: Sequence[WireItem], now: int) -> list[WireItem]:
    """The items that are no tombstones and not past their TTL at `now`, in Unix seconds."""
    return [item for item in items if "_del" not in item and not is_expired(entity.table, item, now)]
