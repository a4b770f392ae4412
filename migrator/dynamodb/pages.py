"""Answers that come in pages: Query and Scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from migrator.dynamodb.pacing import UNLIMITED, Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from migrator.dynamodb.client import Client
    from migrator.mapping import WireItem


@dataclass(frozen=True, slots=True)
class Page:
    """The items of one answer, where the next one starts (None: this is the last), and the read units consumed."""

    items: list[WireItem]
    last_key: WireItem | None
    consumed: float


async def pages(
    client: Client, operation: str, request: Mapping[str, Any], *, pace: Pace = UNLIMITED
) -> AsyncIterator[Page]:
    """Yields the pages of a Query or a Scan, each asked for when the one before has been taken.

    Args:
        client: the client to ask through.
        operation: `Query` or `Scan`.
        request: the operation's own parameters; `ExclusiveStartKey` says where to begin.
        pace: the read units that may be consumed per second.
    """
    parameters = {**request, "ReturnConsumedCapacity": "TOTAL"}
    expected = 1.0
    while True:
        await pace.reserve(expected)
        answer = await client.call(operation, orjson.dumps(parameters), table=request["TableName"])
        consumed = float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", expected))
        pace.settle(expected, consumed)
        expected = consumed
        last_key = answer.get("LastEvaluatedKey")
        yield Page(answer["Items"], last_key, consumed)
        if last_key is None:
            return
        parameters["ExclusiveStartKey"] = last_key
