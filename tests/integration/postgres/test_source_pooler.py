"""A pooler that takes a session's settings and drops them, as PgBouncer does with `ignore_startup_parameters`."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from migrator.errors import SourceError
from migrator.postgres.connection import connect, pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.stores import Database

_KEPT = (b"user", b"database")


def stripped(startup: bytes) -> bytes:
    """The first message of a session, with none of its settings."""
    protocol, names = startup[:4], startup[4:].split(b"\0")
    pairs = zip(names[::2], names[1::2], strict=False)
    kept = b"".join(b"%b\0%b\0" % pair for pair in pairs if pair[0] in _KEPT)
    return struct.pack("!I", 8 + len(kept) + 1) + protocol + kept + b"\0"


@asynccontextmanager
async def pooler(database: Database) -> AsyncIterator[str]:
    """A pooler in front of the database; yields its URL."""
    parts = urlsplit(database.url)
    socket = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = struct.unpack("!I", await reader.readexactly(4))
        from_server, to_server = await asyncio.open_unix_connection(socket)
        to_server.write(stripped(await reader.readexactly(length - 4)))
        await asyncio.gather(pumped(reader, to_server), pumped(from_server, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?sslmode=disable"
    finally:
        server.close()


async def pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_pooler_that_drops_the_settings_is_refused(database: Database, *, read_only: bool) -> None:
    async with pooler(database) as url:
        with pytest.raises(SourceError, match="has not taken the session's settings") as caught:
            await connect(url, purpose="test", read_only=read_only)
        assert "IntervalStyle" in caught.value.what
        assert "rather than to a pooler" in (caught.value.next_step or "")
        with pytest.raises(SourceError, match="has not taken the session's settings"):
            async with pool(url, purpose="test", size=2, read_only=read_only):
                pass
