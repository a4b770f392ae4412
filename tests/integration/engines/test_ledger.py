"""The ledger of divergences: what a look has found in order is closed, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.engines.verify import Scope, Suspects, Verdict, repair, verify
from migrator.engines.verify.judging import judge
from migrator.postgres import divergences
from migrator.reconcile import Times
from tests.support.corrupting import apply
from tests.support.relaying import change, drain, follow

if TYPE_CHECKING:
    from migrator.engines.verify import Report
    from migrator.mapping import WireItem
    from tests.support.migration import Migration

PART = Scope(patterns=0, after=("0",), until=("10",))


@pytest.fixture
async def followed(narrow: Migration) -> Migration:
    """Some rows, copied and followed."""
    await change(narrow, "INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 50) AS n")
    await follow(narrow)
    return narrow


def delete(migration: Migration, *numbers: int) -> None:
    apply(migration, put=[], delete=[{"PK": {"S": f"READING#{number}"}} for number in numbers])


def item_of(number: int) -> WireItem:
    return {"PK": {"S": f"READING#{number}"}, "EntityType": {"S": "READING"}, "value": {"S": f"value {number}"}}


async def part_of(
    migration: Migration, *, suspects: Suspects | None = None, again: Suspects | None = None, scope: Scope = PART
) -> Report:
    return await verify(
        migration.model,
        migration.model.entities,
        migration.stores,
        mappings=migration.mappings,
        scope=scope,
        suspects=suspects,
        again=again,
    )


async def still_open(migration: Migration) -> list[int]:
    async with migration.session() as session:
        found = await divergences.latest(session, migration.model.name, limit=99, only_open=True)
    return sorted(int(each.key["PK"].removeprefix("READING#")) for each in found)


async def test_a_repair_of_a_part_closes_what_is_found_in_order_after_it(followed: Migration) -> None:
    delete(followed, 3, 7, 30)
    assert len((await followed.verify()).differences) == 3
    with Suspects() as suspects:
        assert len((await part_of(followed, suspects=suspects)).differences) == 2
        assert await still_open(followed) == [3, 7, 30]
        await repair(followed.model, followed.model.entities, followed.stores, suspects, times=Times(request=20.0))
        delete(followed, 7)
        elsewhere = Scope(patterns=0, after=("20",), until=("25",))
        report = await part_of(followed, again=suspects, scope=elsewhere)
        # A part that does not hold the key: it is looked at all the same, and told of.
        assert [(each.verdict, each.key["PK"]) for each in report.differences] == [(Verdict.MISSING, "READING#7")]
        assert await still_open(followed) == [7, 30]
        report = await part_of(followed, again=suspects)
        assert [each.key["PK"] for each in report.differences] == ["READING#7"]
    assert await still_open(followed) == [7, 30]
    apply(followed, put=[item_of(7), item_of(30)], delete=[])
    assert (await followed.verify()).clean
    assert await still_open(followed) == []


@pytest.mark.uncovered
async def test_a_key_on_its_way_is_left_open_and_the_others_are_closed(
    followed: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_PAUSES", (0.1,))
    delete(followed, 3, 7)
    await followed.verify()
    apply(followed, put=[item_of(3)], delete=[])
    await change(followed, "UPDATE readings SET value = 'changed' WHERE id = 7")
    report = await followed.verify()
    assert (len(report.differences), len(report.moving)) == (0, 1)
    assert await still_open(followed) == [7]
    await drain(followed)
    assert (await followed.verify()).clean
    assert await still_open(followed) == []
