"""A suspect on which the judge finds no difference is dropped only where the witnesses agree on it by now."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from migrator.dynamodb import Client
from migrator.engines.verify import Verdict, judge
from migrator.engines.verify.judge import DISAGREEMENT, Judge
from migrator.mapping import ItemWitness, forward
from migrator.mapping.testimony import key_line
from migrator.reconcile import Lookup
from tests.unit.dynamodb.wire import answer, session
from tests.unit.mapping.small import TABLE, entity_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    import pytest

    from migrator.dynamodb import Response
    from migrator.dynamodb.transport import Request
    from migrator.engines.verify import Difference
    from migrator.mapping import Entity, Row, WireItem
    from migrator.postgres.connection import Pool

ROW: Row = {"id": "1", "note": "as it is"}
ENTITY = entity_of(sa.Column("note", sa.Text))


class OneRow(Lookup):
    """The source holds `ROW` and no other."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity

    async def read(self, pool: Pool, wanted: Sequence[Row]) -> list[list[Row]]:
        del pool
        return [[ROW] for _ in wanted]


@asynccontextmanager
async def judge_of(items: Iterable[WireItem]) -> AsyncIterator[Judge]:
    """A judge where the source holds `ROW`, and the target one of these items after the other."""
    following = iter(items)

    async def holds(request: Request) -> Response:
        del request
        # SQLAlchemy's names of columns are a kind of str that orjson takes for no key.
        return answer({"Responses": {TABLE.name: [json.loads(json.dumps(next(following)))]}, "UnprocessedKeys": {}})

    async with Client(session(), transport=holds) as client:
        yield Judge(TABLE, {ENTITY.name: OneRow(ENTITY)}, client, None, 0)


async def judged(item: WireItem) -> list[Difference]:
    """What the judge says of an item."""
    async with judge_of([item]) as one:
        return list((await one.judge([key_line(item, TABLE.key_attributes)])).values())


async def looked_at_again(items: list[WireItem]) -> tuple[list[Verdict], list[Verdict]]:
    """What the judge says of an item, and after a moment."""
    async with judge_of(items) as one:
        first = await one.judge([key_line(items[0], TABLE.key_attributes)])
        again = await one.look_again(first)
    return [each.verdict for each in first.values()], [each.verdict for each in again.values()]


def test_a_suspect_that_is_in_order_by_now_is_dropped() -> None:
    (item,) = forward(ENTITY, ROW)
    assert asyncio.run(judged(item)) == []


def test_a_suspect_that_differs_is_named_by_its_attributes() -> None:
    (item,) = forward(ENTITY, ROW)
    (difference,) = asyncio.run(judged({**item, "note": {"S": "as it was"}}))
    assert (difference.verdict, difference.attributes) == (Verdict.DIFFERENT, ("note",))


def test_what_was_on_its_way_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "_MOMENT_SECONDS", 0)
    (item,) = forward(ENTITY, ROW)
    older = {**item, "note": {"S": "as it was"}}
    assert asyncio.run(looked_at_again([older, item])) == ([Verdict.DIFFERENT], [])
    assert asyncio.run(looked_at_again([older, older])) == ([Verdict.DIFFERENT], [Verdict.DIFFERENT])


def test_witnesses_that_disagree_on_equal_values_are_an_error_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(ItemWitness):
        """A witness with an error of its own."""

        def testify(self, items: Iterable[WireItem], now: int) -> list[tuple[bytes, bytes | None]]:
            return [(line, b"something else") for line, _ in super().testify(items, now)]

    monkeypatch.setattr(judge, "ItemWitness", Deaf)
    (item,) = forward(ENTITY, ROW)
    (difference,) = asyncio.run(judged(item))
    assert (difference.verdict, difference.reason) == (Verdict.UNVERIFIABLE, DISAGREEMENT)
