"""Whether a table can be used, asked over the path that the items will take."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from migrator.errors import TargetError

if TYPE_CHECKING:
    from migrator.dynamodb.client import Client

# A first request must tell soon that nobody answers; later ones have the client's patience.
_SECONDS: Final = 5.0
_USABLE: Final = ("ACTIVE", "UPDATING")


@dataclass(frozen=True, slots=True)
class Size:
    """How many items a table holds and how many bytes they take, as DynamoDB counts them every six hours or so."""

    items: int
    bytes: int


async def check(client: Client, table_name: str) -> Size:
    """Sees that the table and its indexes exist whole and take requests; returns how large it is.

    Raises:
        TableMissingError: it does not exist here.
        TargetError: it, or an index of it, is being created or deleted, or DynamoDB cannot be reached.
        ConfigurationError: the credentials are refused.
    """
    request = orjson.dumps({"TableName": table_name})
    deadline = asyncio.get_running_loop().time() + _SECONDS
    answer = await client.call("DescribeTable", request, table=table_name, deadline=deadline)
    status = answer["Table"]["TableStatus"]
    if status == "CREATING":
        raise TargetError(
            f"table {table_name} is being created in {client.place}",
            next_step="run `migrate prepare`: it waits until the table is ready",
        )
    if status not in _USABLE:
        raise TargetError(
            f"table {table_name} cannot be used: its status is {status} in {client.place}",
            next_step="see the table in the AWS console, then run `migrate prepare`",
        )
    for index in answer["Table"].get("GlobalSecondaryIndexes", ()):
        # Filling an index competes with what is written meanwhile, and until it ends the index answers nothing.
        if index["IndexStatus"] not in _USABLE:
            raise TargetError(
                f"index {index['IndexName']} of table {table_name} cannot be used: its status is "
                f"{index['IndexStatus']} in {client.place}",
                next_step="run `migrate prepare`: it waits until the index is ready",
            )
    return Size(answer["Table"].get("ItemCount", 0), answer["Table"].get("TableSizeBytes", 0))
