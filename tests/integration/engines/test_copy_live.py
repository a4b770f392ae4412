"""A copy beside an application that writes, and beside relays: at the end the target is what the source is."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

import pytest

from migrator.engines import copy
from migrator.engines.relay import Limits, Silent, relay
from migrator.errors import GateError
from migrator.mapping import owned_keys
from migrator.postgres import capture, phases
from migrator.reconcile import Times
from tests.support.faults import Cut, StatementErrors, server_error, throttle
from tests.support.relaying import change, drain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.postgres.phases import Phase
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered

TIMES = Times(request=2.0, page=5.0, signature=0.0, skew=0.0)
LIMITS = copy.Limits(times=TIMES)
EDITS = [
    "UPDATE tasks SET status = 'completed' WHERE id = (SELECT id FROM tasks ORDER BY random() LIMIT 1)",
    "DELETE FROM execution_logs WHERE id IN (SELECT id FROM execution_logs ORDER BY random() LIMIT 2)",
    "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('org-' || random(), 'new', now(), now())",
    "DELETE FROM organizations WHERE name = 'new' AND random() < 0.5",
    # A key moves, and at times onto one that was there before.
    """UPDATE agent_executions SET started_at = date_trunc('hour', started_at) + interval '1 hour' * floor(random() * 3)
       WHERE id IN (SELECT id FROM agent_executions ORDER BY random() LIMIT 3)""",
    "DELETE FROM line_messages WHERE id IN (SELECT id FROM line_messages ORDER BY random() LIMIT 2)",
]


async def captured(migration: Migration) -> None:
    async with migration.session() as session:
        for table, columns in capture.wanted([migration.model]).items():
            for statement in capture.create_statements(table, columns):
                await session.execute(statement)


async def move(migration: Migration, phase: Phase) -> None:
    async with migration.session() as session:
        await phases.move(session, migration.model.name, [each.name for each in migration.model.entities], phase)


@pytest.fixture
async def followed(miyabi: Migration) -> Migration:
    """Captured and in dual_write, nothing copied yet."""
    await captured(miyabi)
    await move(miyabi, "dual_write")
    return miyabi


class Chosen(copy.Silent):
    """A listener that remembers how tables are copied."""

    def __init__(self) -> None:
        self.paths: set[copy.Path] = set()

    def chosen(self, paths: Mapping[str, copy.Path]) -> None:
        self.paths = set(paths.values())


async def writing(migration: Migration, stop: asyncio.Event, seed: int) -> int:
    """An application that writes until it is stopped; returns how many transactions it has committed."""
    drawn, commits = Random(seed), 0  # noqa: S311 - repeatable, not secret
    async with migration.session() as session:
        while not stop.is_set():
            await session.execute(drawn.choice(EDITS))
            commits += 1
            await asyncio.sleep(0.005)
    return commits


async def beside(migration: Migration, work: asyncio.Task[copy.Outcome], through: Migration | None = None) -> int:
    """Two writers and two relays until the work is done and a moment longer; returns what was written."""
    writers_stop, relays_stop = asyncio.Event(), asyncio.Event()
    target = through or migration
    relays = [
        asyncio.create_task(
            relay(
                target.model,
                target.model.entities,
                target.stores,
                limits=Limits(20, TIMES),
                until_empty=False,
                stop=relays_stop,
                listener=Silent(),
            )
        )
        for _ in range(2)
    ]
    writers = [asyncio.create_task(writing(migration, writers_stop, seed)) for seed in (1, 2)]
    try:
        await work
        await asyncio.sleep(0.5)
    finally:
        writers_stop.set()
        commits = sum(await asyncio.gather(*writers))
        relays_stop.set()
        await asyncio.gather(*relays)
    return commits


async def test_a_copy_beside_writers_and_relays_ends_with_what_the_source_holds(followed: Migration) -> None:
    chosen = Chosen()
    work = asyncio.create_task(followed.copy(limits=LIMITS, listener=chosen))
    commits = await beside(followed, work)
    assert chosen.paths == {"live"}
    assert commits > 0
    await drain(followed)
    assert await followed.differing() == []
    assert (await followed.verify()).clean


async def test_it_is_so_through_a_target_that_fails_all_the_time(followed: Migration, proxy: FaultProxy) -> None:
    for fault, rate in (
        (throttle(), 0.05),
        (server_error(applied=True), 0.05),
        (Cut("after"), 0.05),
        (Cut("before"), 0.05),
        (StatementErrors("InternalServerError", 0.3, applied=True), 0.2),
        (StatementErrors("ThrottlingError", 0.5), 0.2),
    ):
        proxy.inject(fault, rate=rate)
    behind = followed.through(proxy.endpoint_url)
    work = asyncio.create_task(behind.copy(limits=LIMITS))
    await beside(followed, work, behind)
    await drain(followed)
    assert proxy.applied["StatementErrors"] > 0
    assert await followed.differing() == []


async def test_what_relays_have_written_or_buried_is_left(followed: Migration) -> None:
    await change(
        followed,
        "UPDATE organizations SET name = 'renamed'",
        "DELETE FROM task_dependencies",
        "DELETE FROM execution_logs",
    )
    await drain(followed)
    before = await followed.actual()
    assert before
    outcome = await followed.copy(limits=LIMITS)
    assert outcome.tally.present == len(before)
    assert await followed.differing() == []
    again = await followed.copy(limits=LIMITS, restart=True)
    assert again.tally.present == again.total.items


async def test_items_that_it_writes_have_versions_that_no_other_has(followed: Migration) -> None:
    await followed.copy("users", limits=LIMITS)
    await change(followed, "UPDATE users SET updated_at = now() WHERE github_id = (SELECT min(github_id) FROM users)")
    await drain(followed)
    versions = [item["_v"]["N"] for item in followed.items()]
    row, *_ = await followed.rows(followed.entity("USER"))
    assert len(set(versions)) > 1
    assert versions.count(max(versions, key=int)) == len(owned_keys(followed.entity("USER"), row))


async def test_a_phase_that_is_moved_under_a_copy_stops_it(miyabi: Migration, proxy: FaultProxy) -> None:
    """Whoever moves takes the copy's lock first; a copy whose session was lost does not know that it has none."""
    await captured(miyabi)
    behind = miyabi.through(proxy.endpoint_url)

    class Moving(copy.Silent):
        moved = False

        def settled(self, page: copy.Settled) -> None:  # noqa: ARG002
            if not self.moved:
                self.moved = True
                tasks.append(asyncio.create_task(move(miyabi, "dual_write")))

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(GateError, match=r"has moved from prepare to dual_write while public\.\w+ was copied"):
        await behind.copy(limits=LIMITS, listener=Moving())
    await asyncio.gather(*tasks)
    assert (await miyabi.copy(limits=LIMITS)).total.rows > 0
    assert await miyabi.differing() == []


async def test_it_is_refused_where_changes_are_not_marked(followed: Migration) -> None:
    await change(followed, "ALTER TABLE tasks DISABLE TRIGGER migrator_capture")
    with pytest.raises(GateError, match="tasks cannot be copied beside a running application: the trigger") as refused:
        await followed.copy(limits=LIMITS)
    assert "create_capture" in str(refused.value.next_step)
    assert followed.items() == []
    assert (await followed.copy("users", limits=LIMITS)).total.rows > 0


async def test_a_copy_begun_in_prepare_goes_on_beside_others(miyabi: Migration, proxy: FaultProxy) -> None:
    await captured(miyabi)
    with proxy.failing(throttle(), on="BatchWriteItem"):
        work = asyncio.create_task(miyabi.through(proxy.endpoint_url).copy(limits=LIMITS))
        await asyncio.to_thread(proxy.wait_for, "BatchWriteItem", 1)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    await move(miyabi, "dual_write")
    work = asyncio.create_task(miyabi.copy(limits=LIMITS))
    await beside(miyabi, work)
    await drain(miyabi)
    assert await miyabi.differing() == []
