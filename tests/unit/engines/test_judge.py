"""A suspect on which the judge finds no difference is dropped only where the witnesses agree on it by now."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from migrator.dynamodb import Client, Pace
from migrator.engines.verify import Cause, Verdict
from migrator.engines.verify.judging import judge
from migrator.engines.verify.judging.expected import Snapshots
from migrator.engines.verify.judging.judge import DISAGREEMENT, Judge
from migrator.mapping import ItemWitness, claims, forward
from migrator.mapping.testimony import key_line
from migrator.postgres.catalog import LiveTable
from migrator.postgres.identifiers import TableName
from migrator.reconcile import Lookup
from tests.unit.dynamodb.wire import answer, run_at_once, session
from tests.unit.mapping.small import TABLE, entity_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from migrator.dynamodb import Response
    from migrator.dynamodb.transport import Request
    from migrator.engines.verify import Difference
    from migrator.engines.verify.judging.expected import Expected
    from migrator.mapping import Row, WireItem

ROW: Row = {"id": "1", "note": "as it is"}
ENTITY = entity_of(sa.Column("note", sa.Text))
LIVE = LiveTable(TableName(ENTITY.source.name), 1, "table", (), (), inherited=False)


class OneRow(Snapshots):
    """The source holds `ROW` and no other; a change of it waits as often as `waiting` says."""

    waiting: Iterator[bool] = iter(())

    async def take(self, keys: Sequence[WireItem]) -> list[Expected]:
        waiting = next(self.waiting, False)
        return [
            replace(self._of_rows(claim, [ROW], key), waiting=waiting)
            for key in keys
            for claim in claims([ENTITY], key)
        ]


@asynccontextmanager
async def judge_of(items: Iterable[WireItem]) -> AsyncIterator[Judge]:
    """A judge where the source holds `ROW`, and the target one of these items after the other."""
    following = iter(items)

    async def holds(request: Request) -> Response:
        del request
        # SQLAlchemy's names of columns are a kind of str that orjson takes for no key.
        return answer({"Responses": {TABLE.name: [json.loads(json.dumps(next(following)))]}, "UnprocessedKeys": {}})

    async with Client(session(), transport=holds) as client:
        yield Judge(TABLE, {ENTITY.name: Lookup(ENTITY, LIVE)}, client, None, 0)


@pytest.fixture(autouse=True)
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "Snapshots", OneRow)
    monkeypatch.setattr(judge, "_PAUSES", (0.0, 0.0, 0.0))


async def looked_at(items: list[WireItem], *, followed: bool = True) -> tuple[list[Verdict], list[Verdict]]:
    """What the judge finds of an item that reads thus, one time after the other, and what of it moves still."""
    async with judge_of(items) as one:
        line = key_line(items[0], TABLE.key_attributes)
        settled = await one.settle(await one.look([line]), followed=followed)
    return [each.verdict for each in settled.found.values()], [each.verdict for each in settled.moving.values()]


async def judged(item: WireItem) -> list[Difference]:
    """What the judge says of an item."""
    async with judge_of([item, item]) as one:
        return list((await one.judge([key_line(item, TABLE.key_attributes)])).values())


def test_a_suspect_that_is_in_order_by_now_is_dropped() -> None:
    (item,) = forward(ENTITY, ROW)
    assert asyncio.run(judged(item)) == []


def test_a_suspect_that_differs_is_named_by_its_attributes() -> None:
    (item,) = forward(ENTITY, ROW)
    (difference,) = asyncio.run(judged({**item, "note": {"S": "as it was"}}))
    assert (difference.verdict, difference.attributes) == (Verdict.DIFFERENT, ("note",))


def test_an_item_that_changed_meanwhile_is_looked_at_again() -> None:
    (item,) = forward(ENTITY, ROW)
    older, oldest = ({**item, "note": {"S": text}} for text in ("as it was", "as it was before"))
    assert asyncio.run(looked_at([older, item])) == ([], [])
    assert asyncio.run(looked_at([oldest, older, older, item])) == ([], [])
    assert asyncio.run(looked_at([oldest, older, older, older])) == ([Verdict.DIFFERENT], [])
    moving = [oldest, older] * 4
    assert asyncio.run(looked_at(moving)) == ([], [Verdict.DIFFERENT])


def test_a_change_on_its_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = forward(ENTITY, ROW)
    older = {**item, "note": {"S": "as it was"}}
    monkeypatch.setattr(OneRow, "waiting", iter([True, True]))
    assert asyncio.run(looked_at([older, older, older, older, item])) == ([], [])
    # One that was lost is a difference as soon as nothing is on its way any more.
    monkeypatch.setattr(OneRow, "waiting", iter([True, True]))
    assert asyncio.run(looked_at([older] * 6)) == ([Verdict.DIFFERENT], [])


def test_a_change_that_nobody_carries_over_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = forward(ENTITY, ROW)
    older = {**item, "note": {"S": "as it was"}}
    monkeypatch.setattr(OneRow, "waiting", iter([True]))
    assert asyncio.run(looked_at([older, older], followed=False)) == ([], [Verdict.DIFFERENT])


def test_an_attribute_that_the_mapping_does_not_know_is_a_foreign_writer_s() -> None:
    (item,) = forward(ENTITY, ROW)
    (difference,) = asyncio.run(judged({**item, "colour": {"S": "red"}}))
    assert (difference.verdict, difference.cause) == (Verdict.DIFFERENT, Cause.FOREIGN_WRITER)
    (difference,) = asyncio.run(judged({**item, "note": {"S": "as it was"}}))
    assert difference.cause is None


def test_a_tombstone_of_a_row_that_is_there_is_stale() -> None:
    (item,) = forward(ENTITY, ROW)
    keys = {key.name: item[key.name] for key in TABLE.key_attributes}
    (difference,) = asyncio.run(judged({**keys, "_v": {"N": "1"}, "_del": {"N": "1"}}))
    assert (difference.verdict, difference.cause) == (Verdict.MISSING, Cause.STALE)


def test_reads_keep_to_the_pace() -> None:
    (item,) = forward(ENTITY, ROW)
    asked: list[tuple[float, int]] = []

    async def holds(request: Request) -> Response:
        (of_table,) = json.loads(request.body)["RequestItems"].values()
        asked.append((asyncio.get_running_loop().time(), len(of_table["Keys"])))
        consumed = [{"TableName": TABLE.name, "CapacityUnits": float(len(of_table["Keys"]))}]
        return answer({"Responses": {TABLE.name: []}, "UnprocessedKeys": {}, "ConsumedCapacity": consumed})

    async def look() -> float:
        async with Client(session(), transport=holds) as client:
            one = Judge(TABLE, {ENTITY.name: Lookup(ENTITY, LIVE)}, client, None, 0, pace=Pace(10.0))
            name = TABLE.partition_key.name
            lines = [key_line({**item, name: {"S": f"{item[name]['S']}{n}"}}, TABLE.key_attributes) for n in range(45)]
            await one.look(lines)
            return one.units

    consumed = run_at_once(look())
    assert consumed == sum(keys for _, keys in asked) >= 45
    assert max(keys for _, keys in asked) == 10
    last, _ = asked[-1]
    assert sum(keys for _, keys in asked[:-1]) <= 10.0 * (last + 0.2)


def test_witnesses_that_disagree_on_equal_values_are_an_error_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(ItemWitness):
        """A witness with an error of its own."""

        def testify(self, items: Iterable[WireItem], now: int) -> list[tuple[bytes, bytes | None]]:
            return [(line, b"something else") for line, _ in super().testify(items, now)]

    monkeypatch.setattr(judge, "ItemWitness", Deaf)
    (item,) = forward(ENTITY, ROW)
    (difference,) = asyncio.run(judged(item))
    assert (difference.verdict, difference.reason) == (Verdict.UNVERIFIABLE, DISAGREEMENT)
