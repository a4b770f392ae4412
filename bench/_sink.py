"""A DynamoDB that takes every item and keeps none: it counts them, and adds up a digest of each.

It runs in a process of its own, so that what a client costs is measured without it. Two clients that wrote the same
items, in whatever order and by whatever requests, leave the same digest.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson
import xxhash

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_DESCRIBED = orjson.dumps({"Table": {"TableStatus": "ACTIVE"}})
_REPORT = "Sink.Report"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"


@dataclass(frozen=True)
class Received:
    """How many items have come since the last report, and the sum of their digests, as hexadecimal digits."""

    items: int
    digest: str


@dataclass(frozen=True)
class Sink:
    """Where the sink listens."""

    url: str

    def report(self) -> Received:
        """What has come since the last report."""
        request = urllib.request.Request(self.url, data=b"{}", headers={"X-Amz-Target": _REPORT})  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
            return Received(**orjson.loads(answer.read()))


@contextmanager
def sink() -> Iterator[Sink]:
    """Run a sink on 127.0.0.1 until the block ends."""
    spawn = multiprocessing.get_context("spawn")
    ready, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    try:
        yield Sink(f"http://127.0.0.1:{ready.recv()}/")
    finally:
        server.terminate()
        server.join()


def _serve(ready: Connection) -> None:
    async def run() -> None:
        tally = _Tally()
        server = await asyncio.get_running_loop().create_server(lambda: _Exchange(tally), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class _Tally:
    """What has come since the last report."""

    def __init__(self) -> None:
        self._items = 0
        self._sum = 0

    def answer(self, operation: str, body: bytes) -> bytes:
        """DynamoDB's answer to an operation, or the report."""
        if operation == _REPORT:
            received = {"items": self._items, "digest": f"{self._sum % 2**128:032x}"}
            self._items = self._sum = 0
            return orjson.dumps(received)
        if operation.endswith("DescribeTable"):
            return _DESCRIBED
        ((table, requests),) = orjson.loads(body)["RequestItems"].items()
        for request in requests:
            item = request["PutRequest"]["Item"]
            self._sum += xxhash.xxh3_128_intdigest(orjson.dumps(_canonical({"M": item}), option=orjson.OPT_SORT_KEYS))
        self._items += len(requests)
        consumed = [{"TableName": table, "CapacityUnits": float(len(requests))}]
        return orjson.dumps({"UnprocessedItems": {}, "ConsumedCapacity": consumed})


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


class _Exchange(asyncio.Protocol):
    """One connection: requests one after the other, each answered when it is complete."""

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers each request that is complete by now."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            headers = dict(_headers(self._received[:end]))
            length = int(headers.get("content-length", 0))
            if len(self._received) < end + 4 + length:
                return
            body = bytes(self._received[end + 4 : end + 4 + length])
            del self._received[: end + 4 + length]
            answer = self._tally.answer(headers["x-amz-target"], body)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n"
                % len(answer)
                + answer
            )


def _headers(head: bytearray) -> Iterator[tuple[str, str]]:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()
