"""Checkpoints of a copy: durable, refused where they belong to other work, never written by two."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.errors import ConfigurationError, GateError, LockedError, SourceError
from migrator.postgres import marks, phases, state
from migrator.postgres.checkpoints import CopyLog, Counts, progress
from migrator.postgres.connection import pool
from migrator.postgres.identifiers import TableName
from migrator.postgres.marks import SetAside

if TYPE_CHECKING:
    from migrator.postgres.connection import Pool
    from migrator.postgres.phases import Phase
    from tests.support.stores import Database

USERS = TableName("users", "public")


def log_of(
    sessions: Pool,
    *,
    mapping: str = "m1",
    schema: str = "s1",
    table: TableName = USERS,
    phase: Phase = "prepare",
) -> CopyLog:
    return CopyLog(
        sessions,
        "miyabi",
        table,
        entity=table.name.upper(),
        phase=phase,
        mapping_fingerprint=mapping,
        schema_fingerprint=schema,
    )


@pytest.fixture
async def installed(sessions: Pool) -> Pool:
    async with sessions.acquire() as connection:
        await state.install(connection)
    return sessions


@pytest.fixture
async def log(installed: Pool) -> CopyLog:
    """A copy that has begun, in the ranges up to f, up to p, and the rest."""
    log = log_of(installed)
    assert await log.load() is None
    await log.begin([("f",), ("p",)], followed=False)
    return log


async def test_a_copy_goes_on_where_it_was(installed: Pool, log: CopyLog) -> None:
    first, second, third = await log.ranges()
    assert [(each.number, each.lower, each.upper, each.after) for each in (first, second, third)] == [
        (1, None, ("f",), None),
        (2, ("f",), ("p",), ("f",)),
        (3, ("p",), None, ("p",)),
    ]
    await log.sending(2)
    sent = (await log.ranges())[1].last_sent_at
    assert sent is not None
    aside = [SetAside({"id": 'g"\u00e9'}, "column price: NaN"), SetAside({"id": "h"}, "column price: NaN")]
    second = await log.settle(second, ("h",), Counts(rows=10, items=16, set_aside=2), set_aside=aside, done=False)
    second = await log.settle(second, ("k",), Counts(rows=10, items=15, expired=5), done=False)
    await log.settle(third, None, Counts(), done=True)

    # Another process, later.
    resumed = log_of(installed)
    copy = await resumed.load()
    assert copy is not None
    assert (copy.source, copy.followed, copy.finished_at) == ("public.users", False, None)
    first, recorded, third = await resumed.ranges()
    assert recorded == second
    assert (recorded.after, recorded.counts) == (("k",), Counts(rows=20, items=31, expired=5, set_aside=2))
    assert recorded.last_sent_at is not None
    assert recorded.last_sent_at > sent
    assert recorded.settled_at is None
    assert third.settled_at is not None
    async with installed.acquire() as connection:
        found = await marks.set_aside(connection, "public.users", limit=10)
        assert [(mark.operation, mark.row_key, mark.reason) for mark in found] == [
            ("copy", row.row_key, row.reason) for row in aside
        ]
        assert await marks.set_aside_count(connection, "public.users") == 2
        assert len(await marks.set_aside(connection, "public.users", limit=1)) == 1
        assert await marks.clear(connection, found[0].id) is True
        assert await marks.clear(connection, found[0].id) is False
        assert await marks.set_aside_count(connection, "public.users") == 1


async def test_a_copy_is_finished_when_every_range_is_settled(log: CopyLog) -> None:
    first, *others = await log.ranges()
    for each in others:
        await log.settle(each, ("x",), Counts(rows=1, items=1), done=True)
    with pytest.raises(LockedError):
        await log.finish()
    await log.settle(first, ("a",), Counts(rows=1, items=2), done=True)
    await log.finish()
    copy = await log.load()
    assert copy is not None
    assert copy.finished_at is not None


async def test_progress_adds_up_whatever_mapping_it_was_made_under(installed: Pool, log: CopyLog) -> None:
    first, second, _ = await log.ranges()
    await log.settle(first, ("a",), Counts(rows=3, items=6), done=True)
    await log.settle(second, ("g",), Counts(rows=2, items=4, expired=1), done=False)
    await log_of(installed, mapping="m9", table=TableName("tasks", "public")).begin([], followed=True)
    async with installed.acquire() as connection:
        tasks, users = await progress(connection, "miyabi")
        assert await progress(connection, "other") == []
    assert (tasks.copy.source, tasks.counts, tasks.copy.followed) == ("public.tasks", Counts(), True)
    assert (users.copy.source, users.counts) == ("public.users", Counts(rows=5, items=10, expired=1))


@pytest.mark.parametrize(
    ("changed", "says", "silent"),
    [
        (("m2", "s1"), "another mapping", "source schema"),
        (("m1", "s2"), "another source schema", "mapping"),
        (("m2", "s2"), "another mapping and another source schema", "%"),
    ],
)
async def test_a_checkpoint_of_other_work_is_refused(
    installed: Pool, log: CopyLog, changed: tuple[str, str], says: str, silent: str
) -> None:
    ranges = await log.ranges()
    with pytest.raises(LockedError, match=says) as caught:
        await log_of(installed, mapping=changed[0], schema=changed[1]).load()
    assert silent not in caught.value.what
    assert caught.value.exit_code == 7
    assert caught.value.next_step == "migrate copy --restart users"
    assert "nothing was lost" in str(caught.value.safe)
    assert await log.ranges() == ranges


async def test_restart_forgets_the_copy_and_what_it_set_aside_and_nothing_else(installed: Pool, log: CopyLog) -> None:
    first, *_ = await log.ranges()
    await log.settle(first, ("a",), Counts(set_aside=1), set_aside=[SetAside({"id": "a"}, "why")], done=False)
    tasks = log_of(installed, table=TableName("tasks", "public"))
    await tasks.begin([], followed=False)
    (whole,) = await tasks.ranges()
    await tasks.settle(whole, ("t",), Counts(set_aside=1), set_aside=[SetAside({"id": "t"}, "why")], done=False)
    async with installed.acquire() as connection:
        await connection.execute(
            "INSERT INTO migrator.marks (source, operation, row_key, reason) VALUES "
            "('public.users', 'update', '{}', 'poison')"
        )

    restarted = log_of(installed, mapping="m2")
    await log.sending(2)
    sent = (await log.ranges())[1].last_sent_at
    await restarted.begin([], followed=False, anew=True)
    (whole,) = await restarted.ranges()
    assert whole.last_sent_at == sent
    async with installed.acquire() as connection:
        users_marks = await marks.set_aside(connection, "public.users", limit=10)
        assert [mark.operation for mark in users_marks] == ["update"]
        assert await marks.set_aside_count(connection, "public.tasks") == 1
    assert await tasks.load() is not None


async def test_a_copy_in_a_phase_that_is_over_records_nothing_more(installed: Pool, log: CopyLog) -> None:
    await log.sending(1)
    before = await log.ranges()
    async with installed.acquire() as connection:
        assert await phases.move(connection, "miyabi", ["USERS"], "dual_write")
    for late in (log.sending(1), log.settle(before[0], ("b",), Counts(1, 1), done=False)):
        with pytest.raises(GateError, match="USERS has moved from prepare to dual_write while"):
            await late
    assert await log.ranges() == before
    live = log_of(installed, phase="dual_write")
    await live.load()
    await live.settle(before[0], ("b",), Counts(1, 1), done=False)


async def test_a_phase_is_moved_only_when_copies_have_been_quiet(installed: Pool, log: CopyLog) -> None:
    async with installed.acquire() as connection:
        assert await phases.move(connection, "miyabi", ["USERS"], "dual_write", quiet=60)
        assert await phases.move(connection, "miyabi", ["USERS"], "prepare")
        await log.sending(1)
        assert not await phases.move(connection, "miyabi", ["USERS"], "dual_write", quiet=60)
        standing = (await phases.standings(connection, "miyabi"))["USERS"]
    assert (standing.phase, standing.epoch) == ("prepare", 2)


async def test_two_runs_cannot_both_move_a_range(installed: Pool, log: CopyLog) -> None:
    first, *_ = await log.ranges()
    other = log_of(installed)
    await other.load()
    page = (("b",), Counts(rows=1, items=1))
    outcomes = await asyncio.gather(
        log.settle(first, *page, done=False), other.settle(first, *page, done=False), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LockedError", "Range"]
    (recorded, *_) = await log.ranges()
    assert recorded.counts == Counts(rows=1, items=1)


async def test_a_run_that_was_left_behind_by_a_restart_stops(installed: Pool, log: CopyLog) -> None:
    first, *_ = await log.ranges()
    other = log_of(installed)
    await other.begin([("c",)], followed=False, anew=True)
    before = await other.ranges()
    for stale in (
        log.sending(1),
        log.settle(first, ("b",), Counts(1, 1), set_aside=[SetAside({"id": "b"}, "why")], done=True),
        log.finish(),
        log.begin([], followed=False),
    ):
        with pytest.raises(LockedError, match="changed by another run"):
            await stale
    assert await other.ranges() == before
    async with installed.acquire() as connection:
        assert await marks.set_aside_count(connection, "public.users") == 0


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM migrator.copy_ranges",
        "DELETE FROM migrator.copy_ranges WHERE number = 2",
        "UPDATE migrator.copy_ranges SET upper = '{q}' WHERE number = 2",
        "UPDATE migrator.copy_ranges SET upper = NULL WHERE number = 2",
        "UPDATE migrator.copy_ranges SET position = '{a,b}' WHERE number = 1",
        "UPDATE migrator.copy_ranges SET position = '{}' WHERE number = 1",
        "UPDATE migrator.copy_ranges SET position = '{NULL}' WHERE number = 1",
    ],
)
async def test_a_damaged_checkpoint_is_refused(installed: Pool, log: CopyLog, damage: str) -> None:
    async with installed.acquire() as connection:
        await connection.execute(damage)
    with pytest.raises(LockedError, match="cannot be read") as caught:
        await log.ranges()
    assert "--restart users" in str(caught.value.next_step)


async def test_nothing_goes_on_when_a_checkpoint_cannot_be_written(database: Database, log: CopyLog) -> None:
    first, *_ = await log.ranges()
    admin = await asyncpg.connect(database.url)
    async with pool(database.url, purpose="copy", size=1) as own:
        interrupted = log_of(own)
        await interrupted.load()
        await admin.execute("ALTER TABLE migrator.copy_ranges RENAME TO elsewhere")
        with pytest.raises(SourceError, match=r"cannot write the checkpoint of public\.users"):
            await interrupted.settle(first, ("b",), Counts(1, 1), done=False)
        await admin.execute("ALTER TABLE migrator.elsewhere RENAME TO copy_ranges")
    await admin.close()
    assert (await log.ranges())[0] == first


async def test_a_copy_that_has_not_begun_has_no_progress_to_record(installed: Pool) -> None:
    with pytest.raises(LockedError, match="is not there"):
        await log_of(installed).finish()


async def test_without_the_schema_a_checkpoint_cannot_be_read(sessions: Pool) -> None:
    with pytest.raises(SourceError, match="a table is missing"):
        await log_of(sessions).load()
    async with sessions.acquire() as connection:
        with pytest.raises(ConfigurationError):
            await state.require(connection)
