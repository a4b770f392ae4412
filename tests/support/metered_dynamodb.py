"""A DynamoDB of one table that enforces throughput as DynamoDB does: per table, per index and per partition.

`MeteredTable` decides by a clock that it is given, so that a loop whose time jumps meters ten minutes at once:

    table = MeteredTable(write_units=1000, clock=loop.time)
    client = Client(session(), transport=table.send)

`MeteredDynamoDB` serves one over HTTP on 127.0.0.1, in real time, for commands and workers.
"""

from __future__ import annotations

import asyncio
import math
import time
import zlib
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Self

import orjson
from aiohttp import web

from migrator.dynamodb import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from migrator.dynamodb import Request

_HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 30.0
_PREFIX: Final = "com.amazonaws.dynamodb.v20120810#"
_ARN: Final = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
_PAGE_BYTES: Final = 2**20


@dataclass
class Bucket:
    """Tokens that flow in at a rate, up to `seconds` of it; full at first."""

    rate: float
    seconds: float
    reason: str
    resource: str
    tokens: float = field(init=False)
    _at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.tokens = self.rate * self.seconds

    def has(self, units: float, now: float) -> bool:
        """Whether so many units may be taken: an amount beyond the bucket's size only while it is full."""
        full = self.rate * self.seconds
        self.tokens = min(full, self.tokens + self.rate * (now - self._at))
        self._at = now
        return self.tokens >= min(units, full)


@dataclass
class Metered:
    """What was asked of a table and became of it. `taken` are the write units of the table and of its indexes."""

    requests: int = 0
    throttled: int = 0
    taken: float = 0.0
    read: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)

    def minus(self, earlier: Metered) -> Metered:
        """What came after an earlier moment; the reasons are of all time."""
        return Metered(
            self.requests - earlier.requests,
            self.throttled - earlier.throttled,
            self.taken - earlier.taken,
            self.read - earlier.read,
            self.reasons,
        )


class MeteredTable:
    """A table that takes what its buckets hold.

    Args:
        name: the table's name.
        write_units: units per second of the table alone; None for no limit.
        read_units: likewise.
        index_units: by index, units per second; an index that is not named has no limit.
        indexes: by index, the attributes of its key, the partition key first.
        partition_units: write units per second of one partition, of the table and of each index.
        partitions: into how many ranges of hashes each is divided.
        burst: seconds of unused capacity that are kept; 1 is no more than the second in which it is used.
        latency: seconds that a request takes.
        reasons: whether refusals carry DynamoDB's reasons.
        clock: the time in seconds.
    """

    def __init__(  # noqa: PLR0913 - what a table may be limited by
        self,
        name: str = "t",
        *,
        write_units: float | None = None,
        read_units: float | None = None,
        index_units: Mapping[str, float] | None = None,
        indexes: Mapping[str, Sequence[str]] | None = None,
        partition_units: float | None = None,
        partitions: int = 64,
        burst: float = 1.0,
        latency: float = 0.005,
        reasons: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.items: dict[tuple[str, ...], Any] = {}
        self.metered = Metered()
        self.indexes = {index: tuple(keys) for index, keys in (indexes or {}).items()}
        self._burst = burst
        self._latency = latency
        self._gives_reasons = reasons
        self._clock = clock
        self._partition_units = partition_units
        self._partitions = partitions
        self._ranges: dict[tuple[str | None, int], Bucket] = {}
        self._whole: dict[str | None, Bucket] = {}
        for index, units in (index_units or {}).items():
            self._whole[index] = self._bucket(index, units, "WriteProvisionedThroughputExceeded")
        if write_units is not None:
            self._whole[None] = self._bucket(None, write_units, "WriteProvisionedThroughputExceeded")
        self._reading = (
            None if read_units is None else self._bucket(None, read_units, "ReadProvisionedThroughputExceeded")
        )

    def limit(self, write_units: float) -> None:
        """Change the table's write units, as a user or autoscaling does."""
        self._whole[None].rate = write_units

    async def send(self, request: Request) -> Response:
        """A `Transport` to this table."""
        await asyncio.sleep(self._latency / 2)
        status, document = self.answer(request.operation, orjson.loads(request.body))
        await asyncio.sleep(self._latency / 2)
        body = orjson.dumps(document)
        return Response(status, {"x-amz-crc32": str(zlib.crc32(body))}, body)

    def answer(self, operation: str, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """The answer to a request: HTTP's status and the document."""
        match operation:
            case "BatchWriteItem":
                return self._batch_write(request)
            case "Scan":
                return self._scan(request)
            case "DescribeTable":
                return 200, {"Table": {"TableName": self.name, "TableStatus": "ACTIVE"}}
            case _:
                return 400, {"__type": f"{_PREFIX}UnknownOperationException", "message": operation}

    def _batch_write(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        self.metered.requests += 1
        left, lacking, units = [], dict[str, Bucket](), 0.0
        (puts,) = request["RequestItems"].values()
        for put in puts:
            taken = self._put(put["PutRequest"]["Item"], lacking)
            units += taken or 0.0
            if taken is None:
                left.append(put)
        self.metered.taken += units
        if len(left) == len(puts):
            return self._refusal(lacking)
        self.metered.throttled += bool(left)
        consumed = [{"TableName": self.name, "CapacityUnits": units}]
        return 200, {"UnprocessedItems": {self.name: left} if left else {}, "ConsumedCapacity": consumed}

    def _put(self, item: Mapping[str, Any], lacking: dict[str, Bucket]) -> float | None:
        """Take an item; returns its units, or None where a bucket is lacking them."""
        cost = float(math.ceil(len(orjson.dumps(item)) / 1024))
        places = list(self._places(item))
        now = self._clock()
        buckets = [bucket for place in places for bucket in place]
        missing = [bucket for bucket in buckets if not bucket.has(cost, now)]
        if missing:
            lacking.update({bucket.reason + bucket.resource: bucket for bucket in missing})
            return None
        for bucket in buckets:
            bucket.tokens -= cost
        self.items[item["PK"]["S"], item.get("SK", {}).get("S", "")] = item
        return cost * len(places)

    def _places(self, item: Mapping[str, Any]) -> Iterator[list[Bucket]]:
        """The buckets of the table, and of each index that the item is in."""
        for index, keys in ((None, ("PK",)), *self.indexes.items()):
            if all(key in item for key in keys):
                buckets = [self._whole[index]] if index in self._whole else []
                if self._partition_units is not None:
                    number = zlib.crc32(orjson.dumps(item[keys[0]])) % self._partitions
                    if (index, number) not in self._ranges:
                        self._ranges[index, number] = self._bucket(
                            index, self._partition_units, "WriteKeyRangeThroughputExceeded"
                        )
                    buckets.append(self._ranges[index, number])
                yield buckets

    def _bucket(self, index: str | None, units: float, reason: str) -> Bucket:
        kind, suffix = ("Table", "") if index is None else ("Index", f"/index/{index}")
        return Bucket(units, self._burst, kind + reason, f"{_ARN}{self.name}{suffix}")

    def _refusal(self, lacking: Mapping[str, Bucket]) -> tuple[int, dict[str, Any]]:
        self.metered.throttled += 1
        for bucket in lacking.values():
            self.metered.reasons[bucket.reason] = self.metered.reasons.get(bucket.reason, 0) + 1
        document: dict[str, Any] = {
            "__type": f"{_PREFIX}ProvisionedThroughputExceededException",
            "message": "The level of configured provisioned throughput for the table was exceeded",
        }
        if self._gives_reasons:
            document["ThrottlingReasons"] = [
                {"reason": bucket.reason, "resource": bucket.resource} for bucket in lacking.values()
            ]
        return 400, document

    def _scan(self, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        self.metered.requests += 1
        segment, segments = request.get("Segment", 0), request.get("TotalSegments", 1)
        keys = sorted(key for key in self.items if zlib.crc32(key[0].encode()) % segments == segment)
        start = request.get("ExclusiveStartKey")
        if start is not None:
            keys = [key for key in keys if key > (start["PK"]["S"], start["SK"]["S"])]
        page, size = [], 0
        for key in keys[: request.get("Limit")]:
            page.append(key)
            size += len(orjson.dumps(self.items[key]))
            if size >= _PAGE_BYTES:
                break
        units = max(1, math.ceil(size / 4096)) * (1.0 if request.get("ConsistentRead") else 0.5)
        if self._reading is not None:
            if not self._reading.has(units, self._clock()):
                return self._refusal({"": self._reading})
            self._reading.tokens -= units
        self.metered.read += units
        more = len(page) < len(keys)
        last = {"LastEvaluatedKey": {"PK": {"S": page[-1][0]}, "SK": {"S": page[-1][1]}}} if more else {}
        return 200, {
            "Items": [self.items[key] for key in page],
            "Count": len(page),
            "ScannedCount": len(page),
            "ConsumedCapacity": {"TableName": self.name, "CapacityUnits": units},
            **last,
        }


class MeteredDynamoDB:
    """Serves a metered table over HTTP, from `with` to the end of its block. Runs in a thread of its own."""

    def __init__(self, table: MeteredTable) -> None:
        self.table = table
        self.endpoint_url = ""
        self._started: Future[int] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="metered DynamoDB")
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event

    def __enter__(self) -> Self:
        self._thread.start()
        self.endpoint_url = f"http://{_HOST}:{self._started.result(_START_SECONDS)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=2**24)
        application.router.add_post("/", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, _HOST, 0).start()
        self._started.set_result(runner.addresses[0][1])
        await self._ending.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        status, document = self.table.answer(operation, orjson.loads(await request.read()))
        body = orjson.dumps(document)
        return web.Response(status=status, body=body, headers={"x-amz-crc32": str(zlib.crc32(body))})
