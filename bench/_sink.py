"""A DynamoDB that takes every item and holds none: it counts them, and adds up digests or keeps them in a file.

It runs in a process of its own, so that what a client costs is measured without it. Two clients that wrote the same
items, in whatever order and by whatever requests, leave the same digest. It can be made to fail, by a plan that a seed
repeats.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

from bench._http import REPORT, Reply, report, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_DESCRIBED = orjson.dumps({"Table": {"TableStatus": "ACTIVE"}})
_TYPE = "com.amazonaws.dynamodb.v20120810#"
_BETWEEN_ITEMS = b'}},{"PutRequest":{"Item":'
_END = b"}}]}}"


@dataclass(frozen=True)
class Received:
    """What has come since the last report.

    `distinct` items of `items` were not the same as another one; `digest` is the sum of their digests as hexadecimal
    digits. Both are nothing where the items go to a file.
    """

    items: int
    distinct: int
    digest: str


@dataclass(frozen=True)
class Faults:
    """What goes wrong, each as the share of BatchWriteItem requests that it befalls; no request is befallen twice.

    Attributes:
        unprocessed: three tenths of the items are left unprocessed, at least one.
        throttled: refused for the table's throughput.
        failed: answered with HTTP 500, half of them after the items were taken.
        cut: the connection is closed without an answer, half of them after the items were taken.
        late: the connection is closed, and the items are taken `late_seconds` later.
        answer_seconds: how long every other request takes to be answered, which is no fault.
    """

    unprocessed: float = 0.0
    throttled: float = 0.0
    failed: float = 0.0
    cut: float = 0.0
    late: float = 0.0
    late_seconds: float = 0.5
    answer_seconds: float = 0.0
    seed: int = 1


@dataclass(frozen=True)
class Sink:
    """Where the sink listens."""

    url: str

    def report(self) -> Received:
        """What has come since the last report."""
        return Received(**orjson.loads(report(self.url)))


@contextmanager
def sink(*, keep: Path | None = None, faults: Faults | None = None) -> Iterator[Sink]:
    """Run a sink on 127.0.0.1 until the block ends.

    Args:
        keep: a file to which the items are added, a line of JSON each, in place of digests: for clients that write
            requests without white space, as `migrate copy` does. Nothing goes wrong there.
        faults: what goes wrong; nothing if not given.
    """
    with serving(_Adding, faults or Faults()) if keep is None else serving(_Keeping, keep) as url:
        yield Sink(url)


class _Tally:
    """What has come since the last report, as digests: of whole requests not before the report is asked for.

    Digesting takes longer than sending does, and would slow the client that is measured beside it.
    """

    def __init__(self) -> None:
        self._items = 0
        self._digests: set[int] = set()
        self._bodies: list[bytes] = []

    def keep(self, body: bytes) -> int:
        """Takes all items of a request, and returns how many they are."""
        self._bodies.append(body)
        return body.count(b'"PutRequest"')

    def take(self, requests: Sequence[dict[str, Any]]) -> None:
        """Takes the items of these requests."""
        for request in requests:
            item = _canonical({"M": request["PutRequest"]["Item"]})
            self._digests.add(xxhash.xxh3_128_intdigest(orjson.dumps(item, option=orjson.OPT_SORT_KEYS)))
        self._items += len(requests)

    def report(self) -> Received:
        """What has come, which is forgotten."""
        for body in self._bodies:
            for requests in orjson.loads(body)["RequestItems"].values():
                self.take(requests)
        self._bodies.clear()
        received = Received(self._items, len(self._digests), f"{sum(self._digests) % 2**128:032x}")
        self._items = 0
        self._digests.clear()
        return received


class _File:
    """What has come since the last report, in a file."""

    def __init__(self, path: Path) -> None:
        self._items = 0
        self._file = path.open("ab", buffering=2**20)

    def take(self, body: bytes) -> int:
        """Takes the items of a request, and returns how many they are. It is cut into items, not parsed."""
        items = body[body.index(b'"Item":') + len(b'"Item":') : -len(_END)]
        lines = items.replace(_BETWEEN_ITEMS, b"\n") + b"\n"
        self._file.write(lines)
        count = lines.count(b"\n")
        self._items += count
        return count

    def report(self) -> Received:
        """What has come, and is in the file."""
        self._file.flush()
        received = Received(self._items, 0, "")
        self._items = 0
        return received


class _Keeping:
    """The answers of a sink that keeps the items."""

    def __init__(self, path: Path) -> None:
        self._file = _File(path)

    def __call__(self, operation: str, body: bytes) -> Reply:
        """DynamoDB's answer to an operation, or the report."""
        if operation == REPORT:
            return Reply(orjson.dumps(self._file.report()))
        if operation == "DescribeTable":
            return Reply(_DESCRIBED)
        return _answer("-", self._file.take(body), [])


class _Adding:
    """The answers of a sink that adds up digests, and its faults."""

    def __init__(self, faults: Faults) -> None:
        self._tally = _Tally()
        self._faults = faults
        self._random = Random(faults.seed)  # noqa: S311 - repeatable, not secret

    def __call__(self, operation: str, body: bytes) -> Reply:
        """DynamoDB's answer to an operation, or the report."""
        if operation == REPORT:
            return Reply(orjson.dumps(self._tally.report()))
        if operation == "DescribeTable":
            return Reply(_DESCRIBED)
        return self._write(body)

    def _write(self, body: bytes) -> Reply:
        """Takes a batch, unless something goes wrong."""
        taken = self._random.random() < 0.5  # noqa: PLR2004 - one in two
        match self._fault():
            case None:
                return replace(_answer("-", self._tally.keep(body), []), after=self._faults.answer_seconds)
            case "unprocessed":
                return self._write_some(body)
            case "throttled":
                return _error("ProvisionedThroughputExceededException", 400)
            case "late":
                asyncio.get_running_loop().call_later(self._faults.late_seconds, self._tally.keep, body)
                return Reply(cut=True)
            case fault:
                if taken:
                    self._tally.keep(body)
                return _error("InternalServerError", 500) if fault == "failed" else Reply(cut=True)

    def _write_some(self, body: bytes) -> Reply:
        """Takes a part of a batch; one of which nothing could be taken is refused, as DynamoDB does."""
        ((table, requests),) = orjson.loads(body)["RequestItems"].items()
        left = max(1, round(0.3 * len(requests)))
        if left == len(requests):
            return _error("ProvisionedThroughputExceededException", 400)
        self._tally.take(requests[left:])
        return _answer(table, len(requests) - left, requests[:left])

    def _fault(self) -> str | None:
        """What befalls a request."""
        drawn = self._random.random()
        for fault in ("unprocessed", "throttled", "failed", "cut", "late"):
            drawn -= getattr(self._faults, fault)
            if drawn < 0:
                return fault
        return None


def _answer(table: str, taken: int, left: list[dict[str, Any]]) -> Reply:
    consumed = [{"TableName": table, "CapacityUnits": float(taken)}]
    return Reply(orjson.dumps({"UnprocessedItems": {table: left} if left else {}, "ConsumedCapacity": consumed}))


def _error(code: str, status: int) -> Reply:
    return Reply(orjson.dumps({"__type": _TYPE + code, "message": "as planned"}), status)


def _canonical(value: dict[str, Any]) -> dict[str, Any]:
    """A typed value with each number in one form: clients may write 95.50 for 95.5."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {kind: f"{Decimal(content).normalize():f}" if len(content) < 28 else content}  # noqa: PLR2004
        case "M":
            return {kind: {name: _canonical(member) for name, member in content.items()}}
        case "L":
            return {kind: [_canonical(member) for member in content]}
    return value
