"""Short sequences in which a rule of the protocol is all that stands between a write and its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.support.machine.repairing import TIMES

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tests.support.machine.network import Sent
    from tests.support.machine.process import Process
    from tests.support.machine.world import World

_ROW: Final = "INSERT INTO accounts VALUES (1, 'a', 'x', 0)"
_TO_1: Final = "UPDATE accounts SET value = 1"
_TO_2: Final = "UPDATE accounts SET value = 2"
_SNAPSHOT_OF_KEYS: Final = 2
"""Of a relay's snapshots of one batch: the first one only tells which keys to read in the target."""


async def prepared(world: World) -> None:
    """One row, not copied."""
    await world.begin(_ROW)


async def mirrored(world: World, *, copied: bool = True) -> None:
    """One row, copied or not, in `dual_write`."""
    await prepared(world)
    if copied:
        await (await world.copy(free=True)).finish()
        world.reap()
        await world.clock.forward(world.control, TIMES.life + 1)
    assert await world.move("dual_write")


async def drained(world: World) -> None:
    """A relay that takes what waits and that no other has."""
    await (await world.relay(free=True, batches=100)).finish()
    world.reap()


async def held(world: World, process: Process, point: str) -> list[Sent]:
    """Every request that a process is about to send is late, and the process dies; returns the requests."""
    await process.lead_to(point)
    before = len(world.network.sent)
    for _ in [gate for gate in process.gates if gate.point == point]:
        waiting = sorted(process.gates, key=lambda gate: (gate.point, gate.detail))
        await process.step([gate.point for gate in waiting].index(point), "held")
    await world.crash(process)
    return world.network.sent[before:]


async def arrived(world: World, late: list[Sent]) -> None:
    """What was late arrives now, if it still may."""
    for number, sent in enumerate(world.network.sent):
        if sent in late:
            await world.network.deliver(number)


async def a_relay_dies_before_it_writes(world: World) -> None:
    await mirrored(world)
    await world.execute(_TO_1)
    process = await world.relay()
    await process.lead_to("target read")
    await world.crash(process)


async def a_late_write_of_a_value_that_came_and_went(world: World) -> None:
    await mirrored(world)
    await world.execute(_TO_1)
    late = await held(world, await world.relay(), "PutItem sending")
    await world.execute("UPDATE accounts SET value = 0")
    await drained(world)
    await arrived(world, late)


async def a_relay_pauses_after_its_snapshot(world: World) -> None:
    await mirrored(world)
    await world.execute(_TO_1)
    slow = await world.relay()
    await slow.lead_to("snapshot taken", _SNAPSHOT_OF_KEYS)
    await world.execute(_TO_2)
    await drained(world)
    await slow.finish()
    world.reap()


async def a_relay_pauses_before_it_sends(world: World) -> None:
    await mirrored(world)
    # The items have a version that relays have given.
    await world.execute("UPDATE accounts SET value = 3")
    await drained(world)
    await world.execute(_TO_1)
    slow = await world.relay()
    await slow.lead_to("PutItem sending")
    await world.execute(_TO_2)
    await drained(world)
    await slow.finish()
    world.reap()


async def a_relay_with_an_older_snapshot_writes_first(world: World) -> None:
    await mirrored(world)
    await world.execute(_TO_1)
    older = await world.relay()
    await older.lead_to("PutItem sending")
    await world.execute(_TO_2)
    newer = await world.relay()
    await newer.lead_to("PutItem sending")
    await older.finish()
    await newer.finish()
    world.reap()


async def a_row_is_deleted_before_the_copy_of_it_arrives(world: World) -> None:
    await mirrored(world, copied=False)
    late = await held(world, await world.copy(), "BatchExecuteStatement sending")
    await world.execute("DELETE FROM accounts")
    await drained(world)
    await (await world.purge(free=True)).finish()
    world.reap()
    await arrived(world, late)


async def a_table_is_truncated_before_the_copy_of_it_arrives(world: World) -> None:
    await mirrored(world, copied=False)
    late = await held(world, await world.copy(), "BatchExecuteStatement sending")
    await world.truncate("accounts")
    await world.resync()
    await arrived(world, late)


async def a_key_moves(world: World) -> None:
    await mirrored(world)
    await world.execute("UPDATE accounts SET handle = 'b'")
    await drained(world)


async def turbo_copy_arrives_late(world: World) -> None:
    await prepared(world)
    late = await held(world, await world.copy(), "BatchWriteItem sending")
    await world.execute(_TO_1)
    await world.move("dual_write")
    await drained(world)
    await arrived(world, late)


async def a_relay_arrives_late_on_the_way_back(world: World) -> None:
    await mirrored(world)
    await world.execute(_TO_1)
    late = await held(world, await world.relay(), "PutItem sending")
    await world.execute(_TO_2)
    await drained(world)
    await world.move("prepare")
    await (await world.copy(restart=True, free=True)).finish()
    world.reap()
    await arrived(world, late)


async def live_copy_is_slower_than_a_relay(world: World) -> None:
    await mirrored(world, copied=False)
    process = await world.copy()
    # What it sends is called otherwise where it overwrites.
    await process.lead_to("page read")
    await world.execute(_TO_1)
    await drained(world)
    await process.finish()
    world.reap()


STORIES: Final[dict[str, Callable[[World], Coroutine[Any, Any, None]]]] = {
    "marks deleted first": a_relay_dies_before_it_writes,
    "write skipped on equality": a_late_write_of_a_value_that_came_and_went,
    "source read before target": a_relay_pauses_after_its_snapshot,
    "unconditional write": a_relay_pauses_before_it_sends,
    "failed condition taken for success": a_relay_with_an_older_snapshot_writes_first,
    "no tombstones": a_row_is_deleted_before_the_copy_of_it_arrives,
    "accepted while a copy is on its way": a_table_is_truncated_before_the_copy_of_it_arrives,
    "old key not marked": a_key_moves,
    "version used again": a_relay_pauses_before_it_sends,
    "purge without waiting": a_row_is_deleted_before_the_copy_of_it_arrives,
    "relay does not wait after turbo copy": turbo_copy_arrives_late,
    "turbo copy at once on the way back": a_relay_arrives_late_on_the_way_back,
    "live copy overwrites": live_copy_is_slower_than_a_relay,
}
"""By the rule that decides them (`variants.VARIANTS`)."""
