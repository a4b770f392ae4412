"""A server on a raw socket that follows a script, and the transport that speaks with it."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.dynamodb import Request
from migrator.dynamodb.transport import HttpTransport
from tests.unit.dynamodb.wire import session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CERTIFICATE = Path(__file__).parents[2] / "integration" / "dynamodb" / "certificate.pem"
"""For 127.0.0.1 alone, signed by itself."""


@dataclass
class Peer:
    """The server's side of one connection."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Read a whole request.

        Raises:
            asyncio.IncompleteReadError, ConnectionError: the client has closed the connection.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        return head + await self.reader.readexactly(length)

    async def send(self, data: bytes, piece: int | None = None) -> None:
        """Send this, in pieces of so many bytes that arrive one by one."""
        for start in range(0, len(data), piece or len(data) or 1):
            self.writer.write(data[start : start + (piece or len(data))])
            await self.writer.drain()
            if piece is not None:
                await turns()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            return


@dataclass
class Served:
    """Where a server listens, and what has reached it."""

    port: int = 0
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def serving(
    script: Callable[[Peer], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
    at: tuple[str, int] = ("127.0.0.1", 0),
) -> AsyncIterator[Served]:
    """A server that runs the script for each connection, and closes it when the script ends."""
    served = Served()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            served.tasks.add(task)
        served.connections += 1
        try:
            await script(Peer(served.connections, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            # The client has left, or the test is over.
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, *at, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in served.tasks:
            task.cancel()
        await asyncio.gather(*served.tasks, return_exceptions=True)
        await turns()


def server_tls() -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    return tls


def transport_to(url: str, *, proxy: str | None = None, connect_timeout: float = 5.0) -> HttpTransport:
    """A transport to this endpoint that trusts the tests' certificate."""
    to = replace(session(url), proxy=proxy, ca_bundle=str(CERTIFICATE))
    return HttpTransport(to, connect_timeout=connect_timeout)


def request(body: bytes = b"{}", timeout: float = 10.0) -> Request:
    return Request("PutItem", {"Host": "dynamodb.example", "X-Amz-Target": "DynamoDB_20120810.PutItem"}, body, timeout)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def turns() -> None:
    """Let the loop run until what has been sent over loopback has been received."""
    for _ in range(4):
        await asyncio.sleep(0)
