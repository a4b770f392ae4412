"""Versions: what a key holds, and writes on condition that it still does.

An item may carry a version; a tombstone stands where an item was deleted: its key and version, and when.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import orjson

from migrator.dynamodb.errors import ConditionFailedError, TransactionCanceledError
from migrator.dynamodb.items import batch_get

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.mapping import WireItem

VERSION: Final = "_v"
DELETED: Final = "_del"
TRANSACTION_ITEMS: Final = 100
"""DynamoDB's own limit of one transaction."""
_UNIT_BYTES: Final = 1024
_COUNTED: Final = b'{"ReturnConsumedCapacity":"TOTAL",'


@dataclass(frozen=True, slots=True)
class Held:
    """What a key holds: an item or tombstone of this version (the text of a Number), `0` for an item without one."""

    version: str = "0"
    deleted: bool = False

    @classmethod
    def by(cls, item: WireItem) -> Self:
        """What is held where this item, or tombstone, is."""
        return cls(item.get(VERSION, {}).get("N", "0"), DELETED in item)


async def held(
    client: Client, table_name: str, keys: Sequence[WireItem], names: Sequence[str]
) -> list[tuple[WireItem, Held]]:
    """What these keys hold, read consistently; a key that holds nothing is left out.

    `names` are the table's key attributes.
    """
    found = await batch_get(client, table_name, keys, attributes=(*names, VERSION, DELETED))
    return [(item, Held.by(item)) for item in found]


@dataclass(frozen=True, slots=True)
class Put:
    """An item to put where its key still holds what was read.

    Attributes:
        table_name: the table.
        item: the item's JSON text, its version in it.
        key_name: the table's partition key attribute.
        was: what the key held; None: nothing.
    """

    table_name: str
    item: bytes
    key_name: str
    was: Held | None

    @property
    def units(self) -> float:
        """The write units that it takes, about: more where the key holds more, or indexes have the item."""
        return float(-(-len(self.item) // _UNIT_BYTES))

    def text(self) -> bytes:
        """The parameters of PutItem."""
        names, values = {"#k": self.key_name}, b""
        if self.was is None:
            condition = "attribute_not_exists(#k)"
        elif self.was.version == "0":
            condition, names["#v"] = "attribute_exists(#k) AND attribute_not_exists(#v)", VERSION
        else:
            condition, names = "#v = :v", {"#v": VERSION}
            values = b',"ExpressionAttributeValues":{":v":{"N":"%b"}}' % self.was.version.encode()
        return b'{"TableName":"%b","ConditionExpression":"%b","ExpressionAttributeNames":%b%b,"Item":%b}' % (
            self.table_name.encode(),
            condition.encode(),
            orjson.dumps(names),
            values,
            self.item,
        )


async def put_where(  # noqa: PLR0913 - what a write is made of
    client: Client,
    table_name: str,
    item: bytes,
    *,
    key_name: str,
    was: Held | None,
    deadline: float,
    pace: Pace | None = None,
) -> bool:
    """Puts an item where its key still holds what was read (see `Put`); returns False where it does not.

    An answer that was lost may be followed by False although the item was put: whoever calls reads the key again.
    Nothing is sent after the deadline, a moment of the running loop's `time()`; at a `pace`, False also says that
    the item's turn does not come before it.
    """
    put = Put(table_name, item, key_name, was)
    try:
        return await _paced(client, "PutItem", put.text(), table_name, put.units, deadline=deadline, pace=pace)
    except ConditionFailedError:
        return False


def transaction(puts: Sequence[Put], token: str | None = None) -> bytes:
    """The parameters of TransactWriteItems: items to put, at most `TRANSACTION_ITEMS`, each of another key.

    `token` is a name of the transaction's own (DynamoDB's ClientRequestToken): where an answer was lost, and it is sent
    again, it is answered as the first time.
    """
    named = b"" if token is None else b'"ClientRequestToken":"%b",' % token.encode()
    return b'{%b"TransactItems":[%b]}' % (named, b",".join(b'{"Put":%b}' % put.text() for put in puts))


async def put_all_where(client: Client, puts: Sequence[Put], *, deadline: float, pace: Pace | None = None) -> bool:
    """Puts items in one `transaction`, each on its condition; returns False where they cannot all be put now.

    What False means, the deadline and the pace are as for `put_where`.

    Raises:
        TransactionCanceledError: DynamoDB does not accept one of the items.
    """
    # A transaction writes everything twice.
    units = 2 * sum(put.units for put in puts)
    try:
        return await _paced(
            client, "TransactWriteItems", transaction(puts), puts[0].table_name, units, deadline=deadline, pace=pace
        )
    except TransactionCanceledError as error:
        if error.is_final:
            raise
        return False


async def _paced(  # noqa: PLR0913 - what a request is made of
    client: Client,
    operation: str,
    body: bytes,
    table_name: str,
    units: float,
    *,
    deadline: float | None,
    pace: Pace | None,
) -> bool:
    """Sends a write of about so many units when its turn comes; returns False where that is after the deadline."""
    if pace is None:
        await client.call(operation, body, table=table_name, deadline=deadline)
        return True
    loop = asyncio.get_running_loop()
    until = loop.time() + client.patience_seconds if deadline is None else deadline
    # What takes longer than there is time for is sent all the same, and paid for by what comes after it.
    reserved = min(units, pace.rate * max(until - loop.time(), 0.0) / 2)
    if not await pace.reserve(reserved, until):
        return False
    answer = await client.call(operation, _COUNTED + body[1:], table=table_name, deadline=deadline)
    found = answer.get("ConsumedCapacity") or []
    consumed = sum(float(each["CapacityUnits"]) for each in (found if isinstance(found, list) else [found]))
    pace.settle(reserved, consumed or units)
    return True


async def delete_where(
    client: Client, table_name: str, key: WireItem, *, version: str, pace: Pace | None = None
) -> bool:
    """Deletes what a key holds where it is still of this version; returns False where it is not."""
    request = {
        "TableName": table_name,
        "Key": key,
        "ConditionExpression": "#v = :v",
        "ExpressionAttributeNames": {"#v": VERSION},
        "ExpressionAttributeValues": {":v": {"N": version}},
    }
    try:
        return await _paced(client, "DeleteItem", orjson.dumps(request), table_name, 1.0, deadline=None, pace=pace)
    except ConditionFailedError:
        return False


def next_version(read: int) -> int:
    """A version for what an application writes over an item that was read with this version (0: none, or nothing).

    While DynamoDB is the master, nobody is asked for a number, least of all PostgreSQL, which may be switched off. So
    it is made of the clock: microseconds since 1970, and three random digits, by which two who write in the same
    microsecond differ. It is above the version that was read even where a clock is behind, so that the versions of an
    item grow; and far above all that PostgreSQL gives, so that none comes twice.
    """
    by_clock = time.time_ns() // 1_000 * 1_000 + random.randrange(1_000)  # noqa: S311 - no secret
    # Where it is not the clock that tells two writers apart, chance has to do it alone.
    return max(by_clock, read + 1 + random.randrange(1_000_000) if read >= by_clock else 0)  # noqa: S311 - no secret


def versioned(item: bytes, version: int) -> bytes:
    """An item's text with a version."""
    return b'%b,"%b":{"N":"%d"}}' % (item[:-1], VERSION.encode(), version)


def tombstone(key: WireItem, version: int, unix_seconds: int) -> bytes:
    """The text of a tombstone: the key, its version, and when it was made."""
    return orjson.dumps({**key, VERSION: {"N": str(version)}, DELETED: {"N": str(unix_seconds)}})
