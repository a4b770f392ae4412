"""Locks with names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.errors import LockedError
from migrator.postgres.connection import connect
from migrator.postgres.locks import lock

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database


async def test_a_lock_that_is_held_names_its_holder(database: Database, session: Connection) -> None:
    holder = await connect(database.url, purpose="copy")
    async with lock(holder, "copy:miyabi"):
        with pytest.raises(LockedError, match="copy:miyabi is held by the session migrator copy") as caught:
            async with lock(session, "copy:miyabi"):
                pytest.fail("two sessions hold one lock")
        assert f"pid {holder.get_server_pid()}" in caught.value.what
        assert "connected since" in caught.value.what
        assert caught.value.exit_code == 7
        async with lock(session, "copy:other"):
            pass
    async with lock(session, "copy:miyabi"):
        pass
    await holder.close()


async def test_a_lock_ends_with_its_session(database: Database, session: Connection) -> None:
    holder = await connect(database.url, purpose="copy")
    async with lock(holder, "copy:miyabi"):
        holder.terminate()
        async with lock(session, "copy:miyabi"):
            assert await session.fetchval("SELECT 1") == 1


async def test_a_lock_is_freed_when_the_work_fails(database: Database, session: Connection) -> None:
    holder = await connect(database.url, purpose="copy")
    with pytest.raises(ZeroDivisionError):
        async with lock(holder, "copy:miyabi"):
            raise ZeroDivisionError
    async with lock(session, "copy:miyabi"):
        assert not holder.is_closed()
    await holder.close()


async def test_the_patience_for_a_lock_does_not_outlive_its_taking(session: Connection) -> None:
    async with lock(session, "copy:miyabi"):
        assert await session.fetchval("SHOW lock_timeout") == "10s"
