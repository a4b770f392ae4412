"""A DynamoDB that is only read: a process of its own answers a Scan, in segments, with pages made beforehand."""

from __future__ import annotations

import asyncio
import multiprocessing
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection

PAGE_BYTES = 1_000_000


@contextmanager
def scans(items: Sequence[bytes]) -> Iterator[str]:
    """Serve items, each as JSON text, on 127.0.0.1 until the block ends; yields the URL."""
    spawn = multiprocessing.get_context("spawn")
    ready, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    try:
        ready.send(list(_pages(items)))
        yield f"http://127.0.0.1:{ready.recv()}/"
    finally:
        server.terminate()
        server.join()


def _pages(items: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The items in pages of about 1 MB, which is what DynamoDB gives at once."""
    page: list[bytes] = []
    size = 0
    for item in items:
        page.append(item)
        size += len(item)
        if size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    yield page


def _answer(pages: list[list[bytes]], body: bytes) -> bytes:
    """The next page of a segment; the page's number is the key to start from."""
    request = orjson.loads(body)
    step = request.get("TotalSegments", 1)
    start = request.get("ExclusiveStartKey", {}).get("PK", {}).get("S")
    number = request.get("Segment", 0) if start is None else int(start)
    page = pages[number] if number < len(pages) else []
    last = b""
    if number + step < len(pages):
        last = b',"LastEvaluatedKey":{"PK":{"S":"%d"},"SK":{"S":"-"}}' % (number + step)
    answer = b'{"Count":%d,"ScannedCount":%d,"ConsumedCapacity":{"CapacityUnits":128.0},"Items":[%b]%b}'
    return answer % (len(page), len(page), b",".join(page), last)


def _serve(parent: Connection) -> None:
    async def run() -> None:
        pages = parent.recv()
        server = await asyncio.get_running_loop().create_server(lambda: _Exchange(pages), "127.0.0.1", 0)
        parent.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class _Exchange(asyncio.Protocol):
    """One connection: requests one after the other, each answered when it is complete."""

    def __init__(self, pages: list[list[bytes]]) -> None:
        self._pages = pages
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers a request that is complete."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if not found or len(body) < length:
            return
        self._received = b""
        answer = _answer(self._pages, body)
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
            b"Content-Length: %d\r\nx-amz-crc32: %d\r\n\r\n" % (len(answer), zlib.crc32(answer))
        )
        self._transport.write(answer)
