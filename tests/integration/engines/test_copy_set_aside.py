"""Rows that have no items are set aside with their reason, and everything else is copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.engines import copy
from migrator.engines.verify import Verdict
from migrator.mapping import owned_keys
from migrator.postgres import marks
from tests.integration.engines.conftest import TOTAL
from tests.support.faults import Answer, Exchange
from tests.support.narrow import by_value

if TYPE_CHECKING:
    from aiohttp import web

    from migrator.mapping import WireItem
    from migrator.postgres.marks import Mark
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration


@dataclass(frozen=True)
class Unfit:
    """A row that a change makes unfit, why it is set aside then, and what makes it fit again (None: its end)."""

    entity: str
    change: str
    reason: str
    correction: str | None = None


UNFIT = [
    Unfit("LINE_MESSAGE", "created_at = 'infinity'", "an instant without an ISO 8601 form", "created_at = now()"),
    Unfit(
        "AGENT_EXECUTION",
        """result_summary = '{"n": 1.23456789012345678901234567890123456789}'""",
        "column result_summary: 39 significant digits, a DynamoDB Number holds 38. Declare the attribute with form",
        """result_summary = '{"n": 1.2345678901234567890123456789012345678}'""",
    ),
    Unfit(
        "EXECUTION_LOG", "message = repeat('m', 410000)", "column (the whole row): an item of 41", "message = 'short'"
    ),
    Unfit(
        "WORKFLOW",
        """dag_definition = '{"": 1}'""",
        "column dag_definition: an empty key in a JSON object",
        "dag_definition = '{}'",
    ),
    Unfit("TASK", "id = repeat('t', 1020)", "column id: key attribute SK would have 1025 bytes, DynamoDB allows 1024"),
    Unfit(
        "TASK_DEPENDENCY",
        "task_id = repeat('é', 1022)",
        "column task_id: key attribute PK would have 2049 bytes, DynamoDB allows 2048",
    ),
]


async def make_unfit(migration: Migration) -> None:
    """Make the first row of each of the tables unfit, so that what comes after it is seen to be copied."""
    async with migration.session() as session:
        for unfit in UNFIT:
            table = migration.entity(unfit.entity).source_name
            await session.execute(
                f"UPDATE {table} SET {unfit.change} WHERE ctid = (SELECT min(ctid) FROM {table})"  # noqa: S608 - literals
            )


async def correct(migration: Migration) -> None:
    """Correct the rows that were set aside, or delete them where their key is at fault."""
    aside = await all_aside(migration)
    async with migration.session() as session:
        for unfit in UNFIT:
            table = migration.entity(unfit.entity).source_name
            (mark,) = aside[unfit.entity]
            assert mark.row_key is not None
            (column, value), *_ = mark.row_key.items()
            what = f"DELETE FROM {table}" if unfit.correction is None else f"UPDATE {table} SET {unfit.correction}"  # noqa: S608
            await session.execute(f"{what} WHERE {column} = $1", value)


async def all_aside(migration: Migration) -> dict[str, list[Mark]]:
    """The rows that are set aside, by entity."""
    async with migration.session() as session:
        found = {
            entity.name: await marks.set_aside(session, f"public.{entity.source_name}", limit=100)
            for entity in migration.model.entities
        }
    return {name: aside for name, aside in found.items() if aside}


async def test_unfit_rows_are_set_aside_and_the_rest_goes_on(miyabi: Migration) -> None:
    await make_unfit(miyabi)
    outcome = await miyabi.copy()
    assert outcome.total.rows == TOTAL
    assert outcome.total.set_aside == sum(outcome.waiting.values()) == len(UNFIT)
    aside = await all_aside(miyabi)
    for unfit in UNFIT:
        (mark,) = aside.pop(unfit.entity)
        assert unfit.reason in mark.reason
        assert mark.operation == "copy"
    assert not aside
    assert len(miyabi.items()) == outcome.total.items

    report = await miyabi.verify()
    assert {difference.verdict for difference in report.differences} == {Verdict.UNVERIFIABLE}
    reasons = {difference.entity: str(difference.reason) for difference in report.differences}
    assert len(report.differences) == len(reasons) == len(UNFIT)
    assert all(unfit.reason in reasons[unfit.entity] for unfit in UNFIT)


async def test_corrected_rows_are_taken_up_by_the_next_copy(miyabi: Migration) -> None:
    await make_unfit(miyabi)
    await miyabi.copy()
    again = await miyabi.copy(limits=copy.Limits(workers=2))
    assert sum(again.waiting.values()) == len(UNFIT)
    assert len(await all_aside(miyabi)) == len(UNFIT)
    await correct(miyabi)
    last = await miyabi.copy()
    assert sum(last.waiting.values()) == 0
    assert await all_aside(miyabi) == {}
    assert await miyabi.actual() == await miyabi.expected()
    assert (await miyabi.verify()).clean


@pytest.mark.uncovered
async def test_restart_forgets_what_was_set_aside_and_finds_it_again(miyabi: Migration) -> None:
    await make_unfit(miyabi)
    await miyabi.copy()
    outcome = await miyabi.copy(restart=True)
    assert outcome.total.set_aside == sum(outcome.waiting.values()) == len(UNFIT)
    assert {name: len(aside) for name, aside in (await all_aside(miyabi)).items()} == {
        unfit.entity: 1 for unfit in UNFIT
    }


@dataclass(frozen=True)
class RefuseKey:
    """Refuse every batch that holds the item of a key, as DynamoDB does with an item that it does not take."""

    key: WireItem

    def fits(self, operation: str) -> bool:
        return operation == "BatchWriteItem"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        for requests in orjson.loads(exchange.body)["RequestItems"].values():
            if any(self.key.items() <= request["PutRequest"]["Item"].items() for request in requests):
                return exchange.answer(Answer.error("ValidationException"))
        return exchange.answer(await exchange.forward(exchange.body))


@pytest.mark.uncovered
async def test_a_row_whose_item_dynamodb_refuses_is_set_aside(behind_proxy: Migration, proxy: FaultProxy) -> None:
    execution = behind_proxy.entity("AGENT_EXECUTION")
    row = (await behind_proxy.rows(execution))[3]
    lookup = owned_keys(execution, row)[1]
    refusing = proxy.inject(RefuseKey(lookup))
    outcome = await behind_proxy.copy()
    assert outcome.waiting["agent_executions"] == outcome.total.set_aside == 1
    ((mark,),) = (await all_aside(behind_proxy)).values()
    assert mark.row_key == {"id": row["id"]}
    assert mark.reason == "DynamoDB refused an item of the row (ValidationException)"
    expected = await behind_proxy.expected()
    assert {*expected} - {*await behind_proxy.actual()} == {*behind_proxy.normal([lookup])}

    proxy.remove(refusing)
    again = await behind_proxy.copy()
    assert sum(again.waiting.values()) == 0
    assert await behind_proxy.actual() == expected


async def test_a_refused_item_names_its_row_whatever_its_key_is_made_of(narrow: Migration, proxy: FaultProxy) -> None:
    migration = by_value(narrow).through(proxy.endpoint_url)
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 60) AS n")
    refusing = proxy.inject(RefuseKey({"PK": {"S": "READING#value 42"}}))
    outcome = await migration.copy()
    assert outcome.total.items == 59
    ((mark,),) = (await all_aside(migration)).values()
    assert mark.row_key == {"id": "42"}
    proxy.remove(refusing)
    assert (await migration.copy()).waiting == {"readings": 0}
    assert await migration.actual() == await migration.expected()
