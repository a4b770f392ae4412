"""A relay beside changes of the schema: a table that is another one is left alone, and nothing of it is lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from migrator.engines.relay import Limits, Silent, job, relay
from migrator.errors import ConfigurationError
from migrator.reconcile import Times
from tests.support.faults import Stall
from tests.support.relaying import change, drain, follow, waiting

if TYPE_CHECKING:
    from typing import Self

    from migrator.errors import MigratorError
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered

FOUND = "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('org-new', 'New', now(), now())"
RENAME = "UPDATE organizations SET name = name || '!'"
FINISH = "UPDATE tasks SET status = 'completed', updated_at = now()"
WAITING_FOR_ORGANIZATIONS = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND mode = 'AccessShareLock' AND relation = 'organizations'::regclass
"""
RETITLE = "UPDATE organizations SET title = title || '!'"
OTHERWISE = "ALTER TABLE organizations RENAME COLUMN name TO title"
BACK = "ALTER TABLE organizations RENAME COLUMN title TO name"
LENGTHEN = "ALTER TABLE organizations ALTER COLUMN name TYPE varchar(400)"


@dataclass
class Heard(Silent):
    """A listener that remembers."""

    refusals: list[MigratorError] = field(default_factory=list)
    failures: list[MigratorError] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    def taken_up(self, source: str) -> None:
        self.taken.append(source)

    def refused(self, error: MigratorError) -> None:
        self.refusals.append(error)

    def failed(self, error: MigratorError, pause: float) -> None:  # noqa: ARG002
        self.failures.append(error)


class Running:
    """A relay that runs while a test does other things."""

    def __init__(self, migration: Migration) -> None:
        self.heard = Heard()
        self.stop = asyncio.Event()
        self._migration = migration

    async def __aenter__(self) -> Self:
        migration = self._migration
        work = relay(
            migration.model,
            migration.model.entities,
            migration.stores,
            limits=Limits(20, Times(request=2.0)),
            until_empty=False,
            stop=self.stop,
            listener=self.heard,
        )
        self.task = asyncio.create_task(work)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop.set()
        await self.task

    async def until(self, count: int) -> None:
        """Wait until so many marks wait."""
        async with asyncio.timeout(60):
            while await waiting(self._migration) != count:
                assert not self.task.done(), self.task.result()
                await asyncio.sleep(0.05)


async def count(migration: Migration, table: str) -> int:
    async with migration.session() as session:
        return int(await session.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - a test's own name


async def test_a_table_that_changes_while_it_runs_is_left_alone_and_the_others_are_followed(
    miyabi: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "_TAKE_UP_SECONDS", 3600.0)
    await follow(miyabi)
    async with Running(miyabi) as running:
        await change(miyabi, RENAME, FINISH)
        await running.until(0)
        await change(miyabi, LENGTHEN, RENAME, FINISH)
        await running.until(await count(miyabi, "organizations"))
        (refused,) = running.heard.refusals
        assert "public.organizations is another table than it was" in refused.what
        assert refused.safe == "Its marks wait; other tables are followed."
        assert running.heard.failures == []
    assert len(await miyabi.differing()) == await count(miyabi, "organizations")
    # It fits the mapping as it is, so that a relay that begins now follows it.
    await drain(miyabi)
    assert await miyabi.differing() == []


async def test_a_table_that_fits_again_is_taken_up(miyabi: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_TAKE_UP_SECONDS", 0.2)
    await follow(miyabi)
    async with Running(miyabi) as running:
        await change(miyabi, RENAME)
        await running.until(0)
        await change(miyabi, OTHERWISE, RETITLE, FINISH)
        await running.until(await count(miyabi, "organizations"))
        assert running.heard.taken == []
        await change(miyabi, BACK, RENAME)
        await running.until(0)
        # It may be refused once more by what was under way.
        assert set(running.heard.taken) == {"public.organizations"}
    assert await miyabi.differing() == []


async def test_a_column_that_no_mapping_uses_may_come(miyabi: Migration) -> None:
    await follow(miyabi)
    async with Running(miyabi) as running:
        await change(miyabi, RENAME)
        await running.until(0)
        await change(miyabi, "ALTER TABLE organizations ADD COLUMN remarks text DEFAULT 'none'", RENAME)
        await running.until(0)
        assert running.heard.refusals == []
    assert await miyabi.differing() == []


async def test_a_table_that_is_rewritten_is_not_taken_for_an_empty_one(miyabi: Migration, proxy: FaultProxy) -> None:
    await follow(miyabi)
    await change(miyabi, FOUND, RENAME)
    proxy.inject(Stall(), on="BatchGetItem", times=2)
    draining = asyncio.create_task(drain(miyabi.through(proxy.endpoint_url), batch=1))
    # Both of its hands wait for the target; the snapshots from which they write are still to be taken.
    await asyncio.to_thread(proxy.wait_for, "BatchGetItem", 2)
    async with miyabi.session() as session:
        async with session.transaction():
            await session.execute("ALTER TABLE organizations ADD COLUMN token uuid DEFAULT gen_random_uuid()")
            await asyncio.to_thread(proxy.release)
            async with asyncio.timeout(60):
                while not await session.fetchval(WAITING_FOR_ORGANIZATIONS):
                    assert not draining.done()
                    await asyncio.sleep(0.02)
        await draining
    assert await waiting(miyabi) == 0
    assert await miyabi.differing() == []


async def test_a_relay_that_is_to_end_says_which_table_has_changed(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(miyabi, FINISH, RENAME)
    tasks: list[asyncio.Task[None]] = []

    class Changing(Silent):
        """Changes the table when the first batch is settled."""

        def progressed(self, outcome: object) -> None:  # noqa: ARG002
            if not tasks:
                tasks.append(asyncio.create_task(change(miyabi, LENGTHEN)))

    with pytest.raises(ConfigurationError, match=r"public\.organizations is another table"):
        await relay(
            miyabi.model,
            miyabi.model.entities,
            miyabi.stores,
            limits=Limits(1, Times(request=2.0)),
            until_empty=True,
            stop=asyncio.Event(),
            listener=Changing(),
        )
    await asyncio.gather(*tasks)
    assert await waiting(miyabi) > 0
    await drain(miyabi)
    assert await miyabi.differing() == []


async def test_a_table_that_loses_a_column_or_its_name_stops_no_other(miyabi: Migration) -> None:
    await follow(miyabi)
    async with Running(miyabi) as running:
        await change(miyabi, RENAME)
        await running.until(0)
        await change(miyabi, "ALTER TABLE users DROP COLUMN avatar_url", "UPDATE users SET updated_at = now()")
        await change(miyabi, "ALTER TABLE workflows RENAME TO flows", "UPDATE flows SET updated_at = now()", FINISH)
        await running.until(await count(miyabi, "users") + await count(miyabi, "flows"))
        refused = {error.what.split()[0] for error in running.heard.refusals}
        assert refused == {"public.users", "public.workflows"}
        assert running.heard.failures == []


async def test_a_key_that_dynamodb_does_not_allow_is_set_aside_and_stops_no_other(miyabi: Migration) -> None:
    await follow(miyabi)
    insert = "INSERT INTO organizations (id, name, created_at, updated_at) VALUES (repeat('k', {}), 'n', now(), now())"
    await change(miyabi, insert.format(3000), insert.format(500), FINISH)
    outcome = await drain(miyabi)
    assert outcome.set_aside == outcome.aside == 1
    assert await waiting(miyabi) == 0
    async with miyabi.session() as session:
        reason = await session.fetchval("SELECT reason FROM migrator.marks")
    assert "DynamoDB allows 2048" in reason
    # Each relay tries it again, until its row is another one.
    assert (await drain(miyabi)).aside == 1
    await change(miyabi, "UPDATE organizations SET id = 'short' WHERE length(id) = 3000")
    assert (await drain(miyabi)).aside == 0
    assert await miyabi.differing() == []


async def test_a_mark_of_before_capture_noted_a_key_column_is_set_aside_and_the_others_are_settled(
    miyabi: Migration,
) -> None:
    await follow(miyabi)
    await change(
        miyabi,
        """INSERT INTO migrator.marks (source, operation, row_key, old_key)
           SELECT 'public.agent_executions', 'update', key, key
           FROM (SELECT jsonb_build_object('id', id) AS key FROM agent_executions LIMIT 1) AS early""",
        "UPDATE agent_executions SET started_at = started_at + interval '1 hour'",
        FINISH,
    )
    outcome = await drain(miyabi)
    assert (outcome.set_aside, outcome.aside) == (1, 1)
    assert await waiting(miyabi) == 0
    async with miyabi.session() as session:
        (reason,) = await session.fetchrow("SELECT reason FROM migrator.marks")
    assert "before capture noted repository_id, started_at" in reason
    assert "migrate verify --repair" in reason
    assert await miyabi.differing() == []
