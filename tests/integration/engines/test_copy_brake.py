"""A copy beside relays, where more changes wait than may: it leaves the target to them until they have caught up."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from migrator.engines import copy
from migrator.postgres import pending
from tests.integration.engines.test_copy_live import LIMITS, captured, move
from tests.support.relaying import drain

if TYPE_CHECKING:
    from tests.support.migration import Migration

MOST = 20_000


class Warned(copy.Silent):
    """A listener that remembers what it was warned of."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.told = asyncio.Event()

    def warned(self, sentence: str) -> None:
        self.sentences.append(sentence)
        self.told.set()


@pytest.fixture
async def behind(miyabi: Migration) -> Migration:
    """In dual_write with nothing copied, and with many changes that wait."""
    await captured(miyabi)
    await move(miyabi, "dual_write")
    async with miyabi.session() as session:
        await session.execute("UPDATE execution_logs SET log_level = 'INFO'")
        async with asyncio.timeout(20):
            # The server's statistics follow within a second or two.
            while await pending.waiting_bytes(session) <= MOST:  # noqa: ASYNC110 - the server offers nothing to wait on
                await asyncio.sleep(0.1)
    return miyabi


async def settled_rows(migration: Migration) -> int:
    async with migration.session() as session:
        return int(await session.fetchval("SELECT coalesce(sum(row_count), 0) FROM migrator.copy_ranges"))


async def test_a_live_copy_is_held_back_until_the_relay_has_caught_up(behind: Migration) -> None:
    listener = Warned()
    copying = asyncio.create_task(behind.copy(limits=replace(LIMITS, marks_bytes=MOST), listener=listener))
    try:
        async with asyncio.timeout(20):
            await listener.told.wait()
        (sentence,) = listener.sentences
        assert "held back" in sentence
        assert "migrate relay" in sentence
        # What was begun when the brake went on is brought to its end, and no more.
        await asyncio.sleep(0.5)
        held = await settled_rows(behind)
        await asyncio.sleep(2.5)
        assert await settled_rows(behind) == held
        assert not copying.done()
        await drain(behind)
        async with asyncio.timeout(60):
            outcome = await copying
    finally:
        copying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await copying
    assert outcome.total.rows > held
    await drain(behind)
    assert await behind.differing() == []


@pytest.mark.uncovered
async def test_a_turbo_copy_is_not_held_back_since_no_relay_runs_beside_it(behind: Migration) -> None:
    await move(behind, "prepare")
    await asyncio.sleep(LIMITS.times.life)
    listener = Warned()
    async with asyncio.timeout(60):
        await behind.copy(limits=replace(LIMITS, marks_bytes=1), listener=listener)
    assert not listener.told.is_set()


async def test_a_backlog_over_the_bound_raises_an_alarm(behind: Migration) -> None:
    async with behind.session() as session:
        backlog = await pending.backlog(session, ["public.execution_logs"])
    assert backlog.live_bytes > MOST
    assert "migrate relay" in (backlog.alarm(MOST) or "")
    assert backlog.alarm(backlog.live_bytes) is None
