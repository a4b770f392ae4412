"""A standby as the source: enough for reading, refused where progress must be written."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from migrator.errors import SourceError
from migrator.postgres.connection import connect
from migrator.sandbox import embedded_postgres


async def test_a_replica_serves_reading_and_is_refused_where_writes_are_needed() -> None:
    with embedded_postgres() as server:
        await _turn_into_a_standby(server.url)

        with pytest.raises(SourceError, match="is a replica") as caught:
            await connect(server.url, purpose="test")
        assert caught.value.exit_code == 5
        assert "primary" in str(caught.value.next_step)

        reader = await connect(server.url, purpose="test", read_only=True)
        assert await reader.fetchval("SELECT id FROM orders") == 1
        await reader.close()


async def _turn_into_a_standby(url: str) -> None:
    """A server that finds `standby.signal` when it recovers, here from a killed backend, comes up as a standby."""
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)")
    await connection.execute("CHECKPOINT")
    await connection.execute("COPY (SELECT) TO PROGRAM 'cat > standby.signal'")
    with pytest.raises((asyncpg.PostgresError, ConnectionError)):
        await connection.execute("COPY (SELECT) TO PROGRAM 'kill -9 $PPID'")
    async with asyncio.timeout(60):
        while not await _is_standby(url):  # noqa: ASYNC110 - the server offers nothing to wait on
            await asyncio.sleep(0.1)


async def _is_standby(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url)
    except (asyncpg.PostgresError, OSError):
        return False
    try:
        # The server that is about to notice the killed backend still takes connections.
        return bool(await connection.fetchval("SELECT pg_is_in_recovery()"))
    except (asyncpg.PostgresError, OSError):
        return False
    finally:
        connection.terminate()
