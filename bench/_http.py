"""A server in a process of its own, so that what a client costs is measured without it."""

from __future__ import annotations

import asyncio
import multiprocessing
import urllib.request
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


@dataclass(frozen=True)
class Reply:
    """An answer, sent after so many seconds; `cut`: there is none, the connection is closed instead."""

    body: bytes = b""
    status: int = 200
    cut: bool = False
    after: float = 0.0


REPORT = "Report"
Handler = Callable[[str, bytes], Reply]
"""Answers an operation, as the header `x-amz-target` names it, with its body. It is called within a running loop."""


@contextmanager
def serving(make: Callable[..., Handler], *arguments: Any) -> Iterator[str]:  # noqa: ANN401 - what `make` takes
    """Serve what `make(*arguments)` answers on 127.0.0.1 until the block ends; yields the URL."""
    spawn = multiprocessing.get_context("spawn")
    ready, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ready.recv()}/"
    finally:
        server.terminate()
        server.join()


def report(url: str) -> bytes:
    """What the handler answers the operation `REPORT`, which is none of DynamoDB's."""
    request = urllib.request.Request(url, data=b"{}", headers={"X-Amz-Target": REPORT})  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
    return body


def _serve(ready: Connection[Any, Any], make: Callable[..., Handler], arguments: tuple[Any, ...]) -> None:
    async def run() -> None:
        handler = make(*arguments)
        server = await asyncio.get_running_loop().create_server(lambda: _Exchange(handler), "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class _Exchange(asyncio.Protocol):
    """One connection: requests one after the other, each answered when it is complete."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
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
            reply = self._handler(headers["x-amz-target"].rpartition(".")[2], body)
            if reply.cut:
                self._transport.abort()
                return
            if reply.after:
                asyncio.get_running_loop().call_later(reply.after, self._answer, reply)
            else:
                self._answer(reply)

    def _answer(self, reply: Reply) -> None:
        self._transport.write(
            b"HTTP/1.1 %d -\r\nContent-Type: application/x-amz-json-1.0\r\n"
            b"Content-Length: %d\r\nx-amz-crc32: %d\r\n\r\n" % (reply.status, len(reply.body), zlib.crc32(reply.body))
        )
        self._transport.write(reply.body)


def _headers(head: bytearray) -> Iterator[tuple[str, str]]:
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()
