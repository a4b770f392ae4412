"""A repair: whatever was done to the target behind the toolkit's back is put right, beside writers, nothing else is."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from migrator.engines.relay import Limits, Silent, relay
from migrator.engines.verify import Scope, Suspects, Verdict, accept, look, party, repair, verify
from migrator.engines.verify.judging import judge
from migrator.errors import GateError, TargetError
from migrator.mapping import forward
from migrator.postgres import capture, phases
from migrator.reconcile import Times
from tests.support.corrupting import add_rows, apply, corruptions, targets
from tests.support.faults import Delay, throttle
from tests.support.narrow import by_value
from tests.support.relaying import CHANGES, change, drain, follow, waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.engines.verify import Repaired, Report
    from migrator.mapping import WireItem
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered

TIMES = Times(request=20.0)


async def examined(migration: Migration, suspects: Suspects) -> Report:
    return await verify(
        migration.model,
        migration.model.entities,
        migration.stores,
        mappings=migration.mappings,
        scope=Scope(patterns=0),
        suspects=suspects,
    )


async def put_right(migration: Migration, suspects: Suspects, times: Times = TIMES) -> Repaired:
    return await repair(migration.model, migration.model.entities, migration.stores, suspects, times=times)


async def repaired(migration: Migration) -> Repaired:
    """Verify, and repair what was found."""
    with Suspects() as suspects:
        await examined(migration, suspects)
        return await put_right(migration, suspects)


def is_foreign(key: WireItem) -> bool:
    text = cast("str", key["PK"]["S"])
    return text.startswith("INVOICE#") or text == text.lower()


async def corrupt(migration: Migration, seed: int) -> list[WireItem]:
    """Every kind of corruption of every entity; returns the keys that no row can own."""
    made = [each for _, _, each in corruptions(Random(seed), await targets(migration))]  # noqa: S311 - repeatable
    put = [item for each in made for item in each.put]
    apply(migration, put=put, delete=[key for each in made for key in each.delete])
    return [{name: item[name] for name in ("PK", "SK")} for item in put if is_foreign(item)]


async def delete_items(migration: Migration, count: int) -> None:
    items = await asyncio.to_thread(migration.items)
    apply(migration, put=[], delete=[{name: item[name] for name in ("PK", "SK")} for item in items[:count]])


async def test_corruptions_of_all_kinds_are_put_right(miyabi: Migration) -> None:
    await add_rows(miyabi)
    await follow(miyabi)
    foreign = await corrupt(miyabi, 1)
    done = await repaired(miyabi)
    assert done.examined > 200
    # Of a row's items all are written when one is: the others are in order when their turn comes.
    assert 0 <= done.examined - sum(done.marked.values()) - done.alone < 40
    assert set(done.marked) == {Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT}
    assert (done.waiting, done.set_aside) == (0, {})
    # What was put under keys that no row can own is left to somebody who knows whose it is.
    assert sorted(key["PK"]["S"] for _, key in done.alone_keys) == sorted(key["PK"]["S"] for key in foreign)
    assert done.alone == len(foreign) > 0
    assert len(await miyabi.differing()) == len(foreign)
    assert await waiting(miyabi) == 0
    apply(miyabi, put=[], delete=foreign)
    assert (await miyabi.verify()).clean


async def write(migration: Migration, stop: asyncio.Event) -> int:
    """Change rows of every kind until it is stopped."""
    count = 0
    async with migration.session() as session:
        while not stop.is_set():
            for table, column in (("tasks", "name"), ("execution_logs", "message"), ("users", "name")):
                await session.execute(
                    f"UPDATE {table} SET {column} = 'written ' || $1::int "  # noqa: S608 - no input's
                    f"WHERE id IN (SELECT id FROM {table} ORDER BY random() LIMIT 5)",
                    count,
                )
            await session.execute("DELETE FROM execution_logs WHERE id = (SELECT id FROM execution_logs LIMIT 1)")
            await session.execute(
                "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ($1, 'new', now(), now())",
                f"org-written-{count}",
            )
            count += 1
            await asyncio.sleep(0.05)
    return count


async def test_beside_writers_and_a_relay_nothing_newer_is_lost(
    miyabi: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What moves is repaired as what differs is.
    monkeypatch.setattr(judge, "_PAUSES", (0.1, 0.2))
    await add_rows(miyabi)
    await follow(miyabi)
    stop = asyncio.Event()
    writing = asyncio.create_task(write(miyabi, stop))
    relaying = asyncio.create_task(
        relay(
            miyabi.model,
            miyabi.model.entities,
            miyabi.stores,
            limits=Limits(20, TIMES),
            until_empty=False,
            stop=stop,
            listener=Silent(),
        )
    )
    foreign = await corrupt(miyabi, 2)
    await repaired(miyabi)
    stop.set()
    assert await writing > 5
    await relaying
    apply(miyabi, put=[], delete=foreign)
    await drain(miyabi)
    # What was corrupted while its row was examined may differ still; a second repair finds the rest in order.
    await repaired(miyabi)
    assert await miyabi.differing() == []
    assert (await miyabi.verify()).clean


async def test_changes_that_were_never_marked(miyabi: Migration) -> None:
    await follow(miyabi)
    tables = [entity.source_name for entity in miyabi.model.entities]
    await change(
        miyabi,
        *(f"ALTER TABLE {table} DISABLE TRIGGER migrator_capture" for table in tables),
        *CHANGES,
        # A key moves by less than it holds of the value, and by more.
        "UPDATE line_messages SET created_at = created_at + interval '3 microseconds' WHERE id > 'msg-8'",
        "UPDATE line_messages SET created_at = created_at + interval '3 days' WHERE id > 'msg-e'",
        "DELETE FROM line_messages WHERE id > 'msg-4' AND id < 'msg-6'",
        "DELETE FROM execution_logs",
        "DELETE FROM agent_executions WHERE id > 'exec-e'",
        "TRUNCATE websocket_connections",
        *(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER migrator_capture" for table in tables),
    )
    assert await waiting(miyabi) == 1  # that of the TRUNCATE
    done = await repaired(miyabi)
    assert (done.alone, done.waiting, done.set_aside) == (0, 0, {})
    assert await miyabi.differing() == []


async def test_tables_that_are_found_equal_count_as_followed_again(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(
        miyabi,
        "TRUNCATE websocket_connections",
        "ALTER TABLE users DISABLE TRIGGER migrator_capture",
        "UPDATE users SET name = 'unmarked'",
        "ALTER TABLE users ENABLE ALWAYS TRIGGER migrator_capture",
        "ALTER TABLE tasks DISABLE TRIGGER migrator_capture",
    )
    entities = miyabi.model.entities
    await repaired(miyabi)
    outlook = await look(miyabi.model, entities, miyabi.stores, life=0.0)
    assert outlook.demanding == {"websocket_connections", "users"}
    assert [fault.kind for fault in outlook.faults["tasks"]] == ["disabled"]
    assert (await miyabi.verify()).clean
    # After the look: none of what was found equal.
    await change(miyabi, "TRUNCATE websocket_connections")
    await accept(miyabi.stores, list(outlook.seen.values()))
    outlook = await look(miyabi.model, entities, miyabi.stores, life=0.0)
    assert outlook.demanding == {"websocket_connections"}
    assert outlook.faults.keys() == {"tasks"}
    await accept(miyabi.stores, list(outlook.seen.values()))
    await change(miyabi, "ALTER TABLE tasks ENABLE ALWAYS TRIGGER migrator_capture")
    outlook = await look(miyabi.model, entities, miyabi.stores, life=0.0)
    assert outlook.demanding == {"tasks"}
    await accept(miyabi.stores, list(outlook.seen.values()))
    async with miyabi.session() as session:
        standing = await capture.standing(session, capture.wanted([miyabi.model]))
    assert all(each.stands for each in standing.values())
    assert await waiting(miyabi) == 0


async def aside(migration: Migration) -> list[str]:
    """The reasons of the marks that are set aside."""
    async with migration.session() as session:
        found = await session.fetch("SELECT reason FROM migrator.marks WHERE reason IS NOT NULL ORDER BY id")
    return [row["reason"] for row in found]


async def test_what_was_set_aside_is_tried_again_and_settled_though_its_keys_are_in_order(miyabi: Migration) -> None:
    await follow(miyabi)
    wrong = "jsonb_build_object('n', 1e200::numeric)"
    async with miyabi.session() as session:
        first = await session.fetchval("SELECT min(id) FROM organizations")
        before = await session.fetchval("SELECT settings FROM organizations WHERE id = $1", first)
        await session.execute(f"UPDATE organizations SET settings = {wrong} WHERE id = '{first}'")  # noqa: S608 - no input's
        await session.execute(
            "INSERT INTO organizations (id, name, settings, created_at, updated_at) "  # noqa: S608 - no input's
            f"SELECT id, id, {wrong}, now(), now() "
            "FROM unnest('{second, third}'::text[]) AS id"
        )
        assert (await drain(miyabi)).aside == 3
        await session.execute("UPDATE organizations SET settings = $2 WHERE id = $1", first, before)
        await session.execute("DELETE FROM organizations WHERE id = 'second'")
        # Only the marks that are set aside are left to have the target written.
        await session.execute("DELETE FROM migrator.marks WHERE reason IS NULL")
    outlook = await look(miyabi.model, miyabi.model.entities, miyabi.stores, life=0.0)
    assert (outlook.set_aside, outlook.demanding) == (3, frozenset())
    done = await repaired(miyabi)
    assert done.tried == 3
    assert list(done.set_aside.values()) == [1]
    assert len(await aside(miyabi)) == 1
    # Written though it was equal: a request that is late finds its condition failed.
    items = await asyncio.to_thread(miyabi.items)
    assert [each["SK"]["S"] for each in items if each["PK"]["S"] == f"ORG#{first}" and "_v" in each] == ["METADATA"]
    await change(miyabi, "DELETE FROM organizations WHERE id = 'third'")
    await repaired(miyabi)
    assert await aside(miyabi) == []
    await drain(miyabi)
    assert await miyabi.differing() == []


async def test_a_mark_of_unknown_keys_ends_when_all_keys_are_in_order_and_no_copy_is_on_its_way(
    miyabi: Migration,
) -> None:
    await follow(miyabi)
    await change(
        miyabi,
        """INSERT INTO migrator.marks (source, operation, row_key, old_key)
           SELECT 'public.agent_executions', 'update', key, key
           FROM (SELECT jsonb_build_object('id', id) AS key FROM agent_executions LIMIT 1) AS early""",
    )
    assert (await drain(miyabi)).aside == 1
    entities = miyabi.model.entities
    outlook = await look(miyabi.model, entities, miyabi.stores, life=1500.0)
    assert outlook.demanding == outlook.early.keys() == {"agent_executions"}
    assert 0 < outlook.early["agent_executions"] <= 1500
    assert outlook.acceptable.keys() == {entity.source_name for entity in entities} - {"agent_executions"}
    await accept(miyabi.stores, list(outlook.acceptable.values()))
    assert (await repaired(miyabi)).tried == 1
    assert len(await aside(miyabi)) == 1
    outlook = await look(miyabi.model, entities, miyabi.stores, life=0.0)
    assert outlook.demanding == {"agent_executions"}
    assert not outlook.early
    assert (await miyabi.verify()).clean
    await accept(miyabi.stores, list(outlook.acceptable.values()))
    assert await aside(miyabi) == []


async def test_a_repair_that_fails_leaves_marks_that_a_relay_settles(miyabi: Migration, proxy: FaultProxy) -> None:
    await follow(miyabi)
    await delete_items(miyabi, 90)
    behind = miyabi.through(proxy.endpoint_url)
    with Suspects() as suspects:
        await examined(miyabi, suspects)
        with proxy.failing(throttle(), on="PutItem"), pytest.raises(TargetError):
            await put_right(behind, suspects, Times(request=0.5))
    marks = await waiting(miyabi)
    assert 0 < marks <= 90
    assert (await drain(miyabi)).settled == marks
    assert await miyabi.differing() == []


async def test_a_phase_that_moves_away_ends_it_and_nothing_is_written(miyabi: Migration, proxy: FaultProxy) -> None:
    await follow(miyabi)
    await delete_items(miyabi, 90)
    names = [each.name for each in miyabi.model.entities]
    with Suspects() as suspects:
        await examined(miyabi, suspects)
        proxy.inject(Delay(0.5), on="BatchGetItem")
        repairing = asyncio.create_task(put_right(miyabi.through(proxy.endpoint_url), suspects))
        await asyncio.to_thread(proxy.wait_for, "BatchGetItem", 1)
        async with miyabi.session() as session:
            await phases.move(session, miyabi.model.name, names, "prepare")
        with pytest.raises(GateError, match="cannot be repaired in phase prepare"):
            await repairing
        assert proxy.seen["PutItem"] == 0
        assert await waiting(miyabi) > 0
        with pytest.raises(GateError) as refused:
            await put_right(miyabi, suspects)
    assert refused.value.next_step is not None
    assert "migrate copy --restart organizations" in refused.value.next_step
    assert "migrate switch dual-write" in refused.value.next_step


async def test_cancelled_it_leaves_what_a_relay_settles(miyabi: Migration, proxy: FaultProxy) -> None:
    await follow(miyabi)
    await delete_items(miyabi, 90)
    proxy.inject(Delay(0.3), on="PutItem")
    with Suspects() as suspects:
        await examined(miyabi, suspects)
        repairing = asyncio.create_task(put_right(miyabi.through(proxy.endpoint_url), suspects))
        await asyncio.to_thread(proxy.wait_for, "PutItem", 1)
        repairing.cancel()
        with suppress(asyncio.CancelledError):
            await repairing
    assert await waiting(miyabi) > 0
    await drain(miyabi)
    assert await miyabi.differing() == []


async def fill(narrow: Migration, count: int) -> None:
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings SELECT n, 'v' || n FROM generate_series(1, $1::int) AS n", count)
    await follow(narrow)


def texts(keys: Sequence[tuple[str, WireItem]]) -> list[str]:
    return sorted(cast("str", key["PK"]["S"]) for _, key in keys)


async def test_more_than_are_judged_one_by_one(narrow: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    count, judged = 1_500, 300
    monkeypatch.setattr(party, "MAX_JUDGED", judged)
    await fill(narrow, count)
    await change(narrow, "TRUNCATE readings", "INSERT INTO readings VALUES (1, 'v1'), (2, 'other')")
    with Suspects() as suspects:
        report = await examined(narrow, suspects)
        assert report.unjudged == count - 1 - judged
        assert len(suspects) == count - 1
        done = await put_right(narrow, suspects)
    # The mark of the row that is new was pending meanwhile, and stays so: a relay's.
    assert done.marked == {Verdict.EXTRA: count - 2, Verdict.DIFFERENT: 1}
    assert done.written == count - 1
    assert await narrow.differing() == []
    assert (await narrow.verify()).clean


async def test_keys_that_no_row_can_have_are_left_alone(narrow: Migration) -> None:
    await fill(narrow, 3)
    strange = ["READING#007", "READING#99999999999999999999999999", "READING#-0", "READING#", "Reading#9"]
    (item,) = forward(narrow.entity("READING"), {"id": 9, "value": "of a row that is gone"})
    apply(narrow, put=[item, *({**item, "PK": {"S": text}} for text in strange)], delete=[])
    done = await repaired(narrow)
    assert done.marked == {Verdict.EXTRA: 1}
    assert texts(done.alone_keys) == sorted(strange)
    assert await waiting(narrow) == 0
    assert sorted(each["PK"]["S"] for each in narrow.items() if "_del" not in each) == sorted(
        ["READING#1", "READING#2", "READING#3", *strange]
    )


async def test_keys_of_another_unique_set(narrow: Migration) -> None:
    by = by_value(narrow)
    await change(by, "ALTER TABLE readings ADD UNIQUE (value)")
    await fill(by, 50)
    await change(
        by,
        "ALTER TABLE readings DISABLE TRIGGER migrator_capture",
        "UPDATE readings SET value = 'moved' || id WHERE id % 5 = 0",
        "DELETE FROM readings WHERE id % 5 = 1",
    )
    done = await repaired(by)
    assert done.marked == {Verdict.EXTRA: 20, Verdict.MISSING: 10}
    assert (done.alone, await waiting(by)) == (0, 0)
    assert await by.differing() == []
