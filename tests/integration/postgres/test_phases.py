"""The phase record: epochs, percentages, and the mapping of a move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.errors import SourceError
from migrator.postgres import phases, state

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Standing


@pytest.fixture(autouse=True)
async def installed(session: Connection) -> None:
    await state.install(session)


async def standing(connection: Connection) -> Standing:
    return (await phases.standings(connection, "shop"))["ORDER"]


async def test_each_move_counts_the_epoch_up_and_none_does_where_nothing_changes(session: Connection) -> None:
    prints = {"ORDER": "abc"}
    for percent, epoch in ((10, 1), (10, 1), (50, 2), (50, 2)):
        assert await phases.move(session, "shop", ["ORDER"], "read_target", percent=percent, fingerprints=prints)
        at = await standing(session)
        assert (at.phase, at.percent, at.epoch, at.fingerprint) == ("read_target", percent, epoch, "abc")
    assert await phases.move(session, "shop", ["ORDER"], "dual_write")
    at = await standing(session)
    assert (at.phase, at.percent, at.epoch, at.fingerprint) == ("dual_write", 0, 3, None)


async def test_a_percentage_out_of_range_is_not_recorded(session: Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await session.execute(
            "INSERT INTO migrator.phases (model, entity, phase, percent) VALUES ('a', 'b', 'prepare', 101)"
        )


async def test_a_schema_of_before_percentages_is_read(session: Connection) -> None:
    assert await phases.move(session, "shop", ["ORDER"], "dual_write")
    await session.execute("ALTER TABLE migrator.phases DROP COLUMN percent, DROP COLUMN mapping_fingerprint")
    at = (await phases.known(session, "shop"))["ORDER"]
    assert (at.phase, at.percent, at.fingerprint) == ("dual_write", 0, None)


async def test_write_target_has_a_stage_and_no_other_phase_has(session: Connection) -> None:
    async with session.transaction():
        await phases.record(session, "shop", ["ORDER"], "write_target", stage="fenced")
    at = await standing(session)
    assert (at.phase, at.stage, at.is_followed, at.is_carried_back) == ("write_target", "fenced", True, False)
    async with session.transaction():
        assert (await phases.moment(session, "shop")).follows("ORDER")
    async with session.transaction():
        await phases.record(session, "shop", ["ORDER"], "write_target", stage="open")
    at = await standing(session)
    assert (at.stage, at.epoch, at.is_followed, at.is_carried_back) == ("open", 2, False, True)
    async with session.transaction():
        assert not (await phases.moment(session, "shop")).follows("ORDER")
    with pytest.raises(SourceError):
        async with session.transaction():
            await phases.record(session, "shop", ["ORDER"], "write_target")
    with pytest.raises(SourceError):
        async with session.transaction():
            await phases.record(session, "shop", ["ORDER"], "dual_write", stage="open")
    assert (await standing(session)).epoch == 2
