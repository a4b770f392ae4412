"""The phase record: epochs, percentages, and the mapping of a move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

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
