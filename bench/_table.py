"""A DynamoDB that reads and writes single items, held in memory: it answers what one key after another is asked for.

It runs in a process of its own, so that what a client costs is measured without it. Conditions are taken for met:
nobody else writes.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from bench._http import REPORT, Reply, report, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_DESCRIBED = orjson.dumps({"Table": {"TableStatus": "ACTIVE"}})
_KEY = ("PK", "SK")


@dataclass(frozen=True)
class Held:
    """Where the table is."""

    url: str

    def report(self) -> int:
        """How many items it holds."""
        return int(report(self.url))


@contextmanager
def table() -> Iterator[Held]:
    """Serve a table whose key is PK and SK on 127.0.0.1 until the block ends."""
    with serving(_Table) as url:
        yield Held(url)


class _Table:
    """The items, by their key."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, ...], dict[str, Any]] = {}

    def __call__(self, operation: str, body: bytes) -> Reply:
        """DynamoDB's answer to an operation."""
        if operation == "DescribeTable":
            return Reply(_DESCRIBED)
        if operation == REPORT:
            return Reply(orjson.dumps(len(self._items)))
        request = orjson.loads(body)
        match operation:
            case "PutItem":
                self._items[_key(request["Item"])] = request["Item"]
                return Reply(b"{}")
            case "GetItem":
                item = self._items.get(_key(request["Key"]))
                return Reply(b"{}" if item is None else orjson.dumps({"Item": item}))
        ((name, asked),) = request["RequestItems"].items()
        if operation == "BatchWriteItem":
            self._items |= {_key(each["PutRequest"]["Item"]): each["PutRequest"]["Item"] for each in asked}
            return Reply(b'{"UnprocessedItems":{}}')
        # What is projected of them is the key, the version and whether it is a tombstone.
        found = [self._items[key] for key in map(_key, asked["Keys"]) if key in self._items]
        brief = [{part: item[part] for part in (*_KEY, "_v", "_del") if part in item} for item in found]
        return Reply(orjson.dumps({"Responses": {name: brief}, "UnprocessedKeys": {}}))


def _key(item: dict[str, Any]) -> tuple[str, ...]:
    return tuple(item[part]["S"] for part in _KEY)
