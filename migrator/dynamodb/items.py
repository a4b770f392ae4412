"""Single items and queries, at the level of the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.errors import GaveUpError
from migrator.dynamodb.pages import Page, pages

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.mapping import WireItem

_KEYS_PER_REQUEST: Final = 100


async def get_item(client: Client, table_name: str, key: WireItem, *, consistent: bool = True) -> WireItem | None:
    """The item of a key, or None where there is none."""
    request = {"TableName": table_name, "Key": key, "ConsistentRead": consistent}
    answer = await client.call("GetItem", orjson.dumps(request), table=table_name)
    item: WireItem | None = answer.get("Item")
    return item


async def batch_get(
    client: Client,
    table_name: str,
    keys: Sequence[WireItem],
    *,
    consistent: bool = True,
    attributes: Sequence[str] = (),
) -> list[WireItem]:
    """The items of these keys that exist, in no order. Each key may be named once.

    Args:
        client: the client to read through.
        table_name: the table.
        keys: the keys.
        consistent: whether all writes before are seen.
        attributes: the attributes that are wanted; none named: all.
    """
    asked: dict[str, Any] = {"ConsistentRead": consistent}
    if attributes:
        names = {f"#{number}": name for number, name in enumerate(attributes)}
        asked |= {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
    pages = [
        await _get_all(client, table_name, list(keys[start : start + _KEYS_PER_REQUEST]), asked)
        for start in range(0, len(keys), _KEYS_PER_REQUEST)
    ]
    return [item for page in pages for item in page.items]


async def batch_read(
    client: Client, table_name: str, keys: Sequence[WireItem], *, consistent: bool = True, pace: Pace | None = None
) -> Page[WireItem]:
    """As `batch_get`, of at most 100 keys, with the read units that it consumed.

    Args:
        client: the client to read through.
        table_name: the table.
        keys: the keys.
        consistent: whether all writes before are seen, at twice the read units.
        pace: the table's read units per second, shared by all that are given it.
    """
    asked: dict[str, Any] = {"ConsistentRead": consistent}
    if pace is None or not keys:
        return await _get_all(client, table_name, list(keys), asked)
    expected = len(keys) * (1.0 if consistent else 0.5)
    await pace.reserve(expected)
    page = await _get_all(client, table_name, list(keys), asked)
    pace.settle(expected, page.consumed)
    return page


async def _get_all(client: Client, table_name: str, keys: list[WireItem], asked: dict[str, Any]) -> Page[WireItem]:
    """The items of up to 100 keys; keys that DynamoDB leaves unprocessed are asked for again."""
    found: list[WireItem] = []
    consumed = 0.0
    if not keys:
        return Page(found, None, consumed)
    patience = client.patience()
    while True:
        request = {"RequestItems": {table_name: {"Keys": keys, **asked}}, "ReturnConsumedCapacity": "TOTAL"}
        answer = await client.call("BatchGetItem", orjson.dumps(request), table=table_name, deadline=patience.deadline)
        found += answer["Responses"].get(table_name, [])
        consumed += sum(float(each["CapacityUnits"]) for each in answer.get("ConsumedCapacity", ()))
        left = answer.get("UnprocessedKeys", {}).get(table_name, {}).get("Keys", [])
        if not left:
            return Page(found, None, consumed)
        if len(left) < len(keys):
            patience = client.patience()
        if not await patience.pause():
            raise GaveUpError(
                f"BatchGetItem on table {table_name} left {len(left)} keys unprocessed for "
                f"{patience.seconds:.1f} s (attempts: {patience.attempts})",
                next_step="raise the table's read capacity, or run the command again later",
            )
        keys = left


async def put_item(client: Client, table_name: str, item: bytes) -> None:
    """Writes an item, given as JSON text, over whatever its key holds."""
    await client.call("PutItem", b'{"TableName":"%b","Item":%b}' % (table_name.encode(), item), table=table_name)


async def delete_item(client: Client, table_name: str, key: WireItem) -> None:
    """Deletes the item of a key, where there is one."""
    await client.call("DeleteItem", orjson.dumps({"TableName": table_name, "Key": key}), table=table_name)


def query(client: Client, request: Mapping[str, Any]) -> AsyncIterator[Page[WireItem]]:
    """Yields the pages of a Query, given as DynamoDB's own parameters (`TableName`, `KeyConditionExpression`, ...)."""
    return pages(client, "Query", request)
