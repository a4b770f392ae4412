"""Verification finds what is wrong and nothing else, whatever becomes of the stores meanwhile."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb.client import Client
from migrator.engines.copy import table as copy_of_table
from migrator.engines.verify import Cause, Verdict, party
from migrator.engines.verify.reading import crew
from migrator.errors import ConfigurationError, SourceError, TargetError
from migrator.mapping import Computed, Encoder, Model, forward, owned_keys
from migrator.postgres import verifications
from tests.integration.engines.conftest import TOTAL
from tests.support.faults import Cut, Delay, Stall, Unprocessed, server_error, throttle
from tests.support.kills import ROOT
from tests.support.narrow import by_value

if TYPE_CHECKING:
    from pathlib import Path

    from migrator.engines.verify import Report
    from migrator.mapping import Entity, WireItem
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration


def put(migration: Migration, *items: WireItem) -> None:
    with migration.boto3() as client:
        for item in items:
            client.put_item(TableName=migration.table.name, Item=item)


def delete(migration: Migration, key: WireItem) -> None:
    with migration.boto3() as client:
        client.delete_item(TableName=migration.table.name, Key={name: key[name] for name in ("PK", "SK")})


async def items_of(migration: Migration, name: str) -> list[WireItem]:
    """The first items of an entity's rows."""
    entity = migration.entity(name)
    return [forward(entity, row)[0] for row in await migration.rows(entity)]


def verdicts(report: Report) -> list[tuple[Verdict, str | None]]:
    return [(difference.verdict, difference.entity) for difference in report.differences]


@pytest.mark.uncovered
async def test_a_clean_table_gives_no_difference_and_a_record(copied: Migration) -> None:
    report = await copied.verify()
    expected = await copied.expected()
    assert report.clean
    assert report.differences == []
    assert sum(report.rows.values()) == TOTAL
    assert report.items_expected == report.items_scanned == len(expected)
    assert report.read_units > 0
    async with copied.session() as session:
        (record,) = await verifications.latest(session, "miyabi")
    assert record.clean
    assert record.mapping_fingerprint == copied.model.fingerprint
    assert record.counts["rows"] == TOTAL
    assert record.scope["tables"] == [entity.source_name for entity in copied.model.entities]
    assert (record.id, record.outcome, record.whole) == (report.record, "equal", True)
    assert record.cost["units"] > 0


async def test_an_empty_target_misses_everything(miyabi: Migration) -> None:
    report = await miyabi.verify("organizations", "workflows")
    expected = [*await items_of(miyabi, "ORGANIZATION"), *await items_of(miyabi, "WORKFLOW")]
    assert len(report.differences) == len(expected)
    assert {difference.verdict for difference in report.differences} == {Verdict.MISSING}
    async with miyabi.session() as session:
        (record,) = await verifications.latest(session, "miyabi")
    assert not record.clean
    assert record.counts["missing"] == len(expected)


async def test_many_suspects_are_counted_where_they_are_not_all_judged(
    miyabi: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(party, "MAX_JUDGED", 300)
    report = await miyabi.verify()
    assert len(report.differences) == 300
    assert len(report.differences) + report.unjudged == len(await miyabi.expected())
    assert not report.clean


@pytest.mark.uncovered
async def test_what_is_past_its_expiry_is_no_difference(copied: Migration) -> None:
    present, absent, *_ = await items_of(copied, "LINE_MESSAGE")
    async with copied.session() as session:
        for item in (present, absent):
            number = item["SK"]["S"].rpartition("#")[2]
            await session.execute("UPDATE line_messages SET created_at = '2020-01-01' WHERE id = $1", number)
    # The one row has no item, the other an item that DynamoDB is about to delete, under the key that it had.
    delete(copied, absent)
    put(copied, {**present, "TTL": {"N": "1500000000"}})
    gone = await items_of(copied, "WEBSOCKET")
    put(copied, {**gone[0], "PK": {"S": "WS#connection-of-yesterday"}, "TTL": {"N": "1500000000"}})
    report = await copied.verify()
    assert report.differences == []
    assert report.expired == 2


async def test_a_row_that_expires_is_left_out_whatever_it_holds(copied: Migration) -> None:
    async with copied.session() as session:
        await session.execute(
            "UPDATE execution_logs "
            "SET created_at = '2020-01-01', metadata = to_jsonb(repeat('12', 20)::numeric) "
            "WHERE id = (SELECT min(id) FROM execution_logs)"
        )
    report = await copied.verify("execution_logs")
    assert report.differences == []
    assert report.expired == 1


@pytest.mark.uncovered
async def test_versions_and_tombstones_are_no_differences(copied: Migration) -> None:
    task, *_ = await items_of(copied, "TASK")
    put(copied, {**task, "_v": {"N": "12"}})
    buried: WireItem = {"PK": {"S": "TASK#gone"}, "SK": {"S": "DEP#gone"}, "_v": {"N": "3"}, "_del": {"BOOL": True}}
    put(copied, buried)
    report = await copied.verify()
    assert report.differences == []


async def test_numbers_of_one_value_are_equal(copied: Migration) -> None:
    """A client that writes 95.50 for 95.5 changes nothing, whichever form a store gives back."""
    executions = await items_of(copied, "AGENT_EXECUTION")
    item = next(item for item in executions if "." in item["Data"]["M"]["qualityScore"].get("N", ""))
    item["Data"]["M"]["qualityScore"]["N"] += "00"
    item["Data"]["M"]["durationText"] = {"N": "0"}
    put(copied, item)
    (difference,) = (await copied.verify()).differences
    assert difference.attributes == ("Data.durationText",)


@pytest.mark.uncovered
async def test_some_tables_only_are_verified_with_their_own_strays(copied: Migration) -> None:
    user, *_ = await items_of(copied, "USER")
    task, *_ = await items_of(copied, "TASK")
    delete(copied, task)
    put(copied, {**user, "Extra": {"S": "more"}}, {**user, "PK": {"S": "USER#00000000-0000-4000-8000-000000000000"}})
    put(copied, {**task, "SK": {"S": "TASK#stray"}}, {**task, "PK": {"S": "INVOICE#1"}})
    report = await copied.verify("users", "workflows")
    assert set(report.rows) == {"users", "workflows"}
    assert sorted(verdicts(report), key=str) == [(Verdict.DIFFERENT, "USER"), (Verdict.EXTRA, "USER")]
    report = await copied.verify()
    assert sorted(verdicts(report), key=str) == sorted(
        [
            (Verdict.MISSING, "TASK"),
            (Verdict.EXTRA, "TASK"),
            (Verdict.EXTRA, None),
            (Verdict.DIFFERENT, "USER"),
            (Verdict.EXTRA, "USER"),
        ],
        key=str,
    )


@pytest.mark.uncovered
async def test_changes_of_the_source_since_the_copy_are_differences(copied: Migration) -> None:
    execution = copied.entity("AGENT_EXECUTION")
    row, other, *_ = await copied.rows(execution)
    async with copied.session() as session:
        await session.execute("UPDATE agent_executions SET status = 'moved' WHERE id = $1", row["id"])
        await session.execute("DELETE FROM execution_logs WHERE execution_id = $1", other["id"])
        await session.execute("DELETE FROM agent_executions WHERE id = $1", other["id"])
    report = await copied.verify("agent_executions")
    found = {
        (each.key["PK"], each.key["SK"]): (each.verdict, each.attributes, each.index_keys)
        for each in report.differences
    }
    main, lookup = (tuple(value["S"] for value in key.values()) for key in owned_keys(execution, row))
    gone = [tuple(value["S"] for value in key.values()) for key in owned_keys(execution, other)]
    assert found == {
        main: (Verdict.DIFFERENT, ("Data.status", "GSI1PK"), ("GSI1PK",)),
        lookup: (Verdict.DIFFERENT, ("Data.status",), ()),
        **dict.fromkeys(gone, (Verdict.EXTRA, (), ())),
    }


@pytest.mark.uncovered
async def test_items_under_another_unique_set_are_judged_by_their_rows(narrow: Migration) -> None:
    migration = by_value(narrow)
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 9) AS n")
    await migration.copy()
    assert (await migration.verify()).clean
    with migration.boto3() as client:
        client.delete_item(TableName=migration.table.name, Key={"PK": {"S": "READING#value 1"}})
        for number in (2, 99):
            changed = {"PK": {"S": f"READING#value {number}"}, "EntityType": {"S": "READING"}, "id": {"N": "7"}}
            client.put_item(TableName=migration.table.name, Item=changed)
    report = await migration.verify()
    assert {(each.key["PK"], each.verdict, each.row_key, each.attributes) for each in report.differences} == {
        ("READING#value 1", Verdict.MISSING, ("1",), ()),
        ("READING#value 2", Verdict.DIFFERENT, ("2",), ("id",)),
        ("READING#value 99", Verdict.EXTRA, None, ()),
    }


async def test_two_rows_of_one_key_are_named(narrow: Migration) -> None:
    migration = by_value(narrow)
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings VALUES (1, 'same'), (2, 'same'), (3, 'other')")
    await migration.copy()
    (difference,) = (await migration.verify()).differences
    assert difference.verdict is Verdict.UNVERIFIABLE
    assert difference.key == {"PK": "READING#same"}
    assert difference.reason == "several rows become items of this key"


async def test_a_stray_may_hold_in_its_key_what_no_row_can(narrow: Migration) -> None:
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings VALUES (1, 'one')")
    await narrow.copy()
    # Beyond the column's type; and, for a column of text, what no text of PostgreSQL holds.
    for migration, key in ((narrow, "READING#99999999999999999999"), (by_value(narrow), "READING#\0")):
        with migration.boto3() as client:
            client.put_item(TableName=migration.table.name, Item={"PK": {"S": key}, "value": {"S": "?"}})
        report = await migration.verify()
        assert (Verdict.EXTRA, key) in {(each.verdict, each.key["PK"]) for each in report.differences}


def stripped(value: str) -> str:
    return value.strip()


def as_it_is(value: str) -> tuple[str]:
    return (value,)


async def test_a_mapping_is_not_its_own_witness(narrow: Migration) -> None:
    """Both sides agree on the item, and the row cannot be told from it."""
    reading = narrow.entity("READING")
    lossy = replace(reading, attributes=[Computed("value", (reading.source.c.value,), stripped, as_it_is)])
    migration = replace(narrow, model=Model("narrow", [lossy]))
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings VALUES (1, 'plain'), (2, ' spaced ')")
    await migration.copy()
    (difference,) = (await migration.verify()).differences
    assert difference.verdict is Verdict.UNVERIFIABLE
    assert difference.key == {"id": "2"}
    assert difference.reason == "the inverse gives another value of value"


@pytest.mark.parametrize(
    ("bug", "entity", "verdict"),
    [
        (("qualityScore", "qualityscore"), "AGENT_EXECUTION", Verdict.DIFFERENT),
        (("STATUS#", "STATE#"), "TASK", Verdict.DIFFERENT),
        (("[11:19]", "[11:16] + ':00'"), "EXECUTION_LOG", Verdict.MISSING),
        (("{numeric(", "{round("), "AGENT_EXECUTION", Verdict.DIFFERENT),
        (("TTL", "ttl"), "LINE_MESSAGE", Verdict.DIFFERENT),
    ],
)
async def test_a_bug_of_the_compiled_encoder_is_found(
    miyabi: Migration, monkeypatch: pytest.MonkeyPatch, bug: tuple[str, str], entity: str, verdict: Verdict
) -> None:
    class Planted(Encoder):
        """An encoder whose generated source is not what it should be."""

        def __init__(self, entity: Entity, *, trailing: int = 0) -> None:
            super().__init__(entity, trailing=trailing)
            names = dict(self._encode.__globals__)
            exec(self.source_code.replace(*bug), names)  # noqa: S102 - the encoder's own source
            self._encode = names["encode"]

    assert bug[0] in Encoder(miyabi.entity(entity)).source_code
    monkeypatch.setattr(copy_of_table, "Encoder", Planted)
    source = miyabi.entity(entity).source_name
    await miyabi.copy(source)
    report = await miyabi.verify(source)
    assert (verdict, entity) in verdicts(report)


async def test_faults_of_the_target_change_no_verdict(behind_proxy: Migration, proxy: FaultProxy) -> None:
    await behind_proxy.copy("execution_logs")
    for item in (await items_of(behind_proxy, "EXECUTION_LOG"))[:60]:
        delete(behind_proxy, item)
    proxy.inject(Unprocessed(0.5), on="BatchGetItem", rate=0.5)
    for fault in (throttle(), server_error(), Cut("before"), Cut("midway"), Delay(0.05)):
        for operation in ("Scan", "BatchGetItem"):
            proxy.inject(fault, on=operation, rate=0.15)
    report = await behind_proxy.verify("execution_logs")
    assert verdicts(report) == [(Verdict.MISSING, "EXECUTION_LOG")] * 60
    assert sum(proxy.applied.values()) > 0


def left_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


@pytest.mark.uncovered
async def test_nothing_is_left_behind(copied: Migration, temporary: Path) -> None:
    await copied.verify()
    assert left_in(temporary) == []


async def test_nothing_is_left_behind_where_the_target_goes_down(
    behind_proxy: Migration, proxy: FaultProxy, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "Client", partial(Client, patience=3.0))
    proxy.inject(Cut("before"), on="Scan")
    with pytest.raises(TargetError, match="did not succeed within"):
        await behind_proxy.verify()
    assert left_in(temporary) == []


@pytest.mark.uncovered
async def test_nothing_is_left_behind_where_the_source_changes(copied: Migration, temporary: Path) -> None:
    async with copied.session() as session:
        await session.execute("ALTER TABLE tasks DROP COLUMN priority")
    with pytest.raises(ConfigurationError, match="column priority of"):
        await copied.verify()
    async with copied.session() as session:
        await session.execute("DROP TABLE task_dependencies")
    with pytest.raises((ConfigurationError, SourceError), match="task_dependencies"):
        await copied.verify("task_dependencies")
    assert left_in(temporary) == []


async def test_an_interrupted_verification_leaves_what_it_has_read(
    behind_proxy: Migration, proxy: FaultProxy, temporary: Path
) -> None:
    proxy.inject(Stall(), on="Scan")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "migrator", "verify"),
        cwd=ROOT,
        env={**os.environ, **behind_proxy.variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    await asyncio.to_thread(proxy.wait_for, "Scan", 1)
    process.send_signal(signal.SIGINT)
    output, _ = await process.communicate()
    assert process.returncode == 130
    assert b"interrupted" in output
    # What was read is kept, to be gone on with.
    assert left_in(temporary) == ["work"]


async def test_items_of_others_are_counted_where_they_are_declared(copied: Migration) -> None:
    stray, *_ = await items_of(copied, "USER")
    invoices = [{**stray, "PK": {"S": f"INVOICE#{number}"}} for number in range(7)]
    put(copied, *invoices, {**stray, "PK": {"S": "INVOIC#1"}})
    report = await copied.verify()
    assert (len(report.differences), report.foreign) == (8, 0)
    assert {difference.cause for difference in report.differences} == {Cause.FOREIGN_ITEM}

    table = replace(copied.table, foreign=("INVOICE#",))
    entities = [replace(entity, table=table) for entity in copied.model.entities]
    declared = replace(copied, model=Model(copied.model.name, entities))
    report = await declared.verify()
    assert [difference.key["PK"] for difference in report.differences] == ["INVOIC#1"]
    assert (report.foreign, report.items_scanned) == (7, len(await copied.expected()) + 8)
