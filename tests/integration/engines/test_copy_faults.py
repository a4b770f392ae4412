"""A copy while stores fail: it ends with the same items, or with a clear error from which the next run goes on."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from migrator.dynamodb.client import Client
from migrator.engines import copy
from migrator.engines.copy import crew
from migrator.errors import LockedError, MigratorError, SourceError, TargetError
from migrator.postgres.checkpoints import progress
from tests.integration.engines.conftest import TOTAL
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Cut, Delay, Late, Refuse, Stall, Unprocessed, server_error, throttle

if TYPE_CHECKING:
    from tests.support.faults import Fault
    from tests.support.migration import Migration
    from tests.support.stores import Database

pytestmark = pytest.mark.uncovered

# Seconds until a copy gives up: few, since a test waits for it, and enough for requests that nothing is wrong with.
PATIENCE = 3.0


class FirstPage(copy.Silent):
    """A listener that knows when the first page is settled."""

    def __init__(self) -> None:
        self.there = asyncio.Event()

    def settled(self, page: copy.Settled) -> None:  # noqa: ARG002 - as in the protocol
        self.there.set()


async def settled(migration: Migration) -> int:
    """How many rows the checkpoints say are done."""
    async with migration.session() as session:
        return sum(each.counts.rows for each in await progress(session, migration.model.name))


async def assert_resumes(migration: Migration) -> None:
    """The run before has stopped midway, and the next one does the rest and no more."""
    before = await settled(migration)
    assert 0 < before < TOTAL
    outcome = await migration.copy()
    assert outcome.total.rows == TOTAL - before
    assert await migration.actual() == await migration.expected()


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_kind_of_fault_at_once(miyabi: Migration, seed: int) -> None:
    faults: list[Fault] = [
        Unprocessed(0.3),
        throttle(),
        throttle("ThrottlingException"),
        server_error(),
        server_error(applied=True),
        Cut("before"),
        Cut("after"),
        Cut("midway"),
        Late(0.3),
        Delay(0.05),
    ]
    with FaultProxy(miyabi.endpoint.endpoint_url, seed=seed) as proxy:
        rules = [proxy.inject(fault, on="BatchWriteItem", rate=0.06) for fault in faults]
        behind_proxy = miyabi.through(proxy.endpoint_url)
        outcome = await behind_proxy.copy()
        applied = {rule.fault: rule.applied for rule in rules}
    assert outcome.total.rows == TOTAL
    assert all(applied.values()), applied
    # A batch of one item cannot be processed in part: it is refused as throttled.
    unprocessed, delayed = applied[faults[0]], applied[faults[-1]]
    refused = sum(applied.values()) - unprocessed - delayed
    assert outcome.tally.unprocessed + sum(outcome.tally.retries.values()) == unprocessed + refused
    assert await miyabi.actual() == await miyabi.expected()


async def test_stalled_requests_are_sent_again(behind_proxy: Migration, proxy: FaultProxy) -> None:
    proxy.inject(Stall(), on="BatchWriteItem", skip=10, times=3)
    copying = asyncio.create_task(behind_proxy.copy())
    await asyncio.to_thread(proxy.wait_for, "BatchWriteItem", 13)
    await asyncio.to_thread(proxy.release)
    outcome = await copying
    assert outcome.tally.retries == {"connection": 3}
    assert await behind_proxy.actual() == await behind_proxy.expected()


async def test_goes_on_after_the_target_was_down(
    behind_proxy: Migration, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "Client", partial(Client, patience=PATIENCE))
    down = proxy.inject(Cut("before"), on="BatchWriteItem", skip=50)
    with pytest.raises(TargetError, match="did not succeed within") as caught:
        await behind_proxy.copy()
    assert caught.value.exit_code == 6
    proxy.remove(down)
    await assert_resumes(behind_proxy)


async def test_goes_on_after_throttling_that_did_not_end(
    behind_proxy: Migration, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "Client", partial(Client, patience=PATIENCE))
    throttled = proxy.inject(throttle(), on="BatchWriteItem", skip=50)
    with pytest.raises(TargetError, match="ProvisionedThroughputExceededException"):
        await behind_proxy.copy()
    proxy.remove(throttled)
    await assert_resumes(behind_proxy)


@pytest.mark.parametrize(
    ("fault", "exit_code"),
    [
        (Refuse("AccessDeniedException"), 6),
        (Refuse("ExpiredTokenException"), 4),
    ],
)
async def test_goes_on_after_the_target_refused(
    behind_proxy: Migration, proxy: FaultProxy, fault: Refuse, exit_code: int
) -> None:
    refusing = proxy.inject(fault, on="BatchWriteItem", skip=50)
    with pytest.raises(MigratorError) as caught:
        await behind_proxy.copy()
    assert caught.value.exit_code == exit_code
    proxy.remove(refusing)
    await assert_resumes(behind_proxy)


async def test_a_worker_tells_why_it_failed(behind_proxy: Migration, proxy: FaultProxy) -> None:
    refusing = proxy.inject(Refuse("AccessDeniedException"), on="BatchWriteItem", skip=50)
    with pytest.raises(TargetError, match=r"BatchWriteItem on table .* is not allowed to these credentials") as caught:
        await behind_proxy.copy(limits=copy.Limits(workers=2))
    assert "dynamodb:BatchWriteItem" in str(caught.value.next_step)
    proxy.remove(refusing)
    await assert_resumes(behind_proxy)


async def test_goes_on_after_the_source_was_down(
    behind_proxy: Migration, proxy: FaultProxy, postgres_server: Database
) -> None:
    name = urlsplit(behind_proxy.database.url).path.removeprefix("/")
    held = proxy.inject(Stall(), on="BatchWriteItem", skip=50)
    first = FirstPage()
    copying = asyncio.create_task(behind_proxy.copy(listener=first))
    await asyncio.to_thread(proxy.wait_for, "BatchWriteItem", 51)
    await first.there.wait()
    await asyncio.to_thread(shut, postgres_server, name)
    proxy.remove(held)
    await asyncio.to_thread(proxy.release)
    with pytest.raises(SourceError) as caught:
        await copying
    assert caught.value.exit_code == 5
    await asyncio.to_thread(open_again, postgres_server, name)
    await assert_resumes(behind_proxy)


def shut(server: Database, name: str) -> None:
    """End every session of a database and take no new one, as a server does that goes down."""
    server.execute(
        f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false',
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",  # noqa: S608 - a test's own
    )


def open_again(server: Database, name: str) -> None:
    server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


async def test_progress_that_another_run_has_moved_is_not_overwritten(
    behind_proxy: Migration, proxy: FaultProxy
) -> None:
    """The lock is a session's: where that session was cut off, two copies may run for a while."""
    held = proxy.inject(Stall(), on="BatchWriteItem", skip=50)
    first = FirstPage()
    copying = asyncio.create_task(behind_proxy.copy(listener=first))
    await asyncio.to_thread(proxy.wait_for, "BatchWriteItem", 51)
    await first.there.wait()
    async with behind_proxy.session() as session:
        await session.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    proxy.remove(held)
    other = asyncio.create_task(behind_proxy.copy())
    await asyncio.wait([other])
    await asyncio.to_thread(proxy.release)
    ends = await asyncio.gather(copying, other, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, LockedError)]
    assert refused
    assert all("was changed by another run" in end.what for end in refused)
    # Whichever was refused, the checkpoint is true.
    await behind_proxy.copy()
    assert await settled(behind_proxy) == TOTAL
    assert await behind_proxy.actual() == await behind_proxy.expected()
