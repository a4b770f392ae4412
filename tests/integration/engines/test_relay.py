"""A relay that carries changes of every kind over, beside another one, and from a target that comes and goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from migrator.engines.relay import Limits, Silent, relay
from migrator.engines.verify import Verdict
from migrator.errors import GateError, TargetError
from migrator.reconcile import Times
from tests.support.faults import Cut, Delay, server_error, throttle
from tests.support.relaying import CHANGES, change, drain, follow, waiting

if TYPE_CHECKING:
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered


async def test_changes_of_every_kind_reach_the_target(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(miyabi, *CHANGES)
    assert await miyabi.differing() != []
    marks = await waiting(miyabi)
    outcome = await drain(miyabi)
    assert (outcome.settled, outcome.set_aside) == (marks, 0)
    assert await waiting(miyabi) == 0
    assert await miyabi.differing() == []
    assert (await miyabi.verify()).clean


async def test_a_key_that_is_given_up_by_one_row_and_taken_by_another_is_the_others(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(
        miyabi,
        "DELETE FROM task_dependencies",
        # A swap, through a third value.
        "UPDATE tasks SET id = 'swap' WHERE id = (SELECT min(id) FROM tasks)",
        "UPDATE tasks SET id = (SELECT 'task-moved') WHERE id = (SELECT max(id) FROM tasks WHERE id LIKE 'task-%')",
        "UPDATE tasks SET id = 'task-moved-too' WHERE id = 'task-moved'",
        "UPDATE tasks SET id = 'task-moved' WHERE id = 'swap'",
    )
    await drain(miyabi, batch=1)
    assert await miyabi.differing() == []


async def test_a_row_that_is_deleted_and_inserted_again_lives(miyabi: Migration) -> None:
    await follow(miyabi)
    insert = "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('org-again', '{}', now(), now())"
    for name in ("first", "second"):
        await change(miyabi, insert.format(name), "DELETE FROM organizations WHERE id = 'org-again'")
        await drain(miyabi)
        assert await miyabi.differing() == []
    await change(miyabi, insert.format("third"))
    await drain(miyabi)
    assert await miyabi.differing() == []


async def test_two_relays_share_the_work(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(miyabi, *CHANGES)
    marks = await waiting(miyabi)
    outcomes = await asyncio.gather(drain(miyabi, batch=10), drain(miyabi, batch=10))
    assert sum(outcome.settled for outcome in outcomes) == marks
    assert await miyabi.differing() == []


async def test_a_target_that_fails_all_the_time_loses_nothing(miyabi: Migration, proxy: FaultProxy) -> None:
    await follow(miyabi)
    await change(miyabi, *CHANGES)
    for fault, rate in (
        (throttle(), 0.05),
        (server_error(applied=True), 0.05),
        (Cut("after"), 0.05),
        (Cut("before"), 0.05),
        (Delay(0.05), 0.1),
    ):
        proxy.inject(fault, rate=rate)
    await drain(miyabi.through(proxy.endpoint_url))
    assert sum(proxy.applied.values()) > 0
    assert await waiting(miyabi) == 0
    assert await miyabi.differing() == []


async def test_a_relay_that_fails_in_the_middle_leaves_every_mark_it_has_not_settled(
    miyabi: Migration, proxy: FaultProxy
) -> None:
    await follow(miyabi)
    await change(miyabi, *CHANGES)
    marks = await waiting(miyabi)
    behind = miyabi.through(proxy.endpoint_url)
    with proxy.failing(throttle()), pytest.raises(TargetError):
        await drain(behind)
    assert await waiting(miyabi) == marks
    await drain(behind)
    assert await miyabi.differing() == []


async def test_marks_of_a_row_without_items_are_set_aside_and_stop_no_other(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(
        miyabi,
        "UPDATE organizations SET settings = jsonb_build_object('n', 1e200::numeric)"
        " WHERE id = (SELECT min(id) FROM organizations)",
        *CHANGES,
    )
    outcome = await drain(miyabi)
    assert outcome.set_aside == 1
    assert await waiting(miyabi) == 0
    differences = (await miyabi.verify()).differences
    assert {(each.entity, each.verdict) for each in differences} == {("ORGANIZATION", Verdict.UNVERIFIABLE)}


async def test_nothing_is_followed_before_dual_write(miyabi: Migration) -> None:
    with pytest.raises(GateError, match="not followed") as refused:
        await drain(miyabi)
    assert refused.value.next_step == "migrate switch dual-write"


async def test_a_target_too_slow_for_a_batch_takes_it_in_parts(miyabi: Migration, proxy: FaultProxy) -> None:
    await follow(miyabi)
    await change(miyabi, *CHANGES)
    marks = await waiting(miyabi)
    # 32 requests at a time, in 0.5 s: a batch of 200 takes six times as long as a request of it may.
    proxy.inject(Delay(0.5), on="PutItem")
    outcome = await relay(
        miyabi.model,
        miyabi.model.entities,
        miyabi.through(proxy.endpoint_url).stores,
        limits=Limits(200, Times(request=1.2)),
        until_empty=True,
        stop=asyncio.Event(),
        listener=Silent(),
    )
    assert outcome.settled == marks
    assert await miyabi.differing() == []
