"""At every named point a process dies once, in the middle of a sequence that leads there, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.support.machine.repairing import TIMES
from tests.support.machine.seams import POINTS
from tests.support.machine.statements import NAMES
from tests.support.machine.stories import drained, mirrored, prepared

if TYPE_CHECKING:
    from tests.support.machine.process import Process
    from tests.support.machine.sequences import Running
    from tests.support.machine.world import World

_CHANGES: Final = (
    "INSERT INTO accounts VALUES (2, 'b', 'x', 0)",
    "UPDATE accounts SET handle = 'c' WHERE id = 1",
    "INSERT INTO seats VALUES (1, 'p', NULL)",
)


async def _relay(world: World) -> Process:
    await mirrored(world)
    for change in _CHANGES:
        await world.execute(change)
    return await world.relay()


async def _mirror(world: World) -> Process:
    await mirrored(world)
    for change in _CHANGES:
        await world.execute(change)
    return await world.mirror(NAMES)


async def _turbo_copy(world: World) -> Process:
    await prepared(world)
    return await world.copy()


async def _live_copy(world: World) -> Process:
    await mirrored(world, copied=False)
    return await world.copy()


async def _purge(world: World) -> Process:
    await mirrored(world)
    await world.execute("DELETE FROM accounts")
    await drained(world)
    await world.clock.forward(world.control, TIMES.life + 1)
    return await world.purge()


_WHO: Final = {
    "row marks claimed": _mirror,
    "old tombstones read": _purge,
    "tombstones to be forgotten": _purge,
    "DeleteItem sending": _purge,
    "DeleteItem unanswered": _purge,
    "BatchWriteItem sending": _turbo_copy,
    "BatchWriteItem unanswered": _turbo_copy,
    "BatchExecuteStatement sending": _live_copy,
    "BatchExecuteStatement unanswered": _live_copy,
    "copy begun": _turbo_copy,
    "sending noted": _turbo_copy,
    "page read": _live_copy,
    "page to be settled": _live_copy,
    "page settled": _live_copy,
    "copy to be finished": _live_copy,
}
"""Who comes to a point; a relay comes to all others."""


async def _lead_to(process: Process, point: str) -> None:
    if point.endswith(" unanswered"):
        await process.lead_to(point.replace("unanswered", "sending"))
        waiting = sorted(process.gates, key=lambda gate: (gate.point, gate.detail))
        sending = [gate.point for gate in waiting].index(point.replace("unanswered", "sending"))
        await process.step(sending, "unanswered")
    await process.lead_to(point)


async def _dies(world: World, point: str) -> None:
    process = await _WHO.get(point, _relay)(world)
    await _lead_to(process, point)
    before = world.figures.crashed[point]
    await world.crash(process)
    assert world.figures.crashed[point] > before
    # What was written before is changed again, by others.
    await world.execute("UPDATE accounts SET value = 5")
    await world.execute("DELETE FROM accounts WHERE id = 2")
    await drained(world)
    await world.settle()


@pytest.mark.uncovered
@pytest.mark.parametrize("point", POINTS)
def test_a_process_may_die_at_any_point(running: Running, point: str) -> None:
    world, runner = running
    runner.run(_dies(world, point))


async def _two_bury(world: World) -> None:
    await mirrored(world)
    await world.execute("DELETE FROM accounts")
    slow = await world.relay()
    await slow.lead_to("tombstones to be recorded")
    await world.execute("INSERT INTO accounts VALUES (1, 'a', 'x', 0)")
    await world.execute("DELETE FROM accounts")
    await drained(world)
    await slow.finish()
    world.reap()
    await world.settle()


def test_a_tombstone_is_purged_though_an_older_one_is_recorded_after_it(running: Running) -> None:
    world, runner = running
    runner.run(_two_bury(world))
