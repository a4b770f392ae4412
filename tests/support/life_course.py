"""The course of a life: from phase to phase and back, while processes are killed and begun again."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from tests.support.life import FAULTS, LEASES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tests.support.life import Life
    from tests.support.story_processes import Part

_BETWEEN_STARTS: Final = 1.0


async def follow(life: Life, rest: float = 0, *, kills: int = 0) -> None:
    """From `prepare` to `dual_write`."""
    await life.migrate("copy", "--yes", kills=kills)
    await life.move("switch", "dual-write", "--wait", kills=kills)
    await asyncio.sleep(rest)


async def move_reads(life: Life, rest: float = 0, *, percent: str = "100", kills: int = 0) -> None:
    """From `dual_write` to `read_target`, or to another percentage."""
    await life.move("switch", "reads", "--percent", percent, kills=kills)
    await asyncio.sleep(rest)


async def move_writes(life: Life, rest: float = 0, *, kills: int = 0) -> None:
    """From `read_target` to `write_target`."""
    await life.move("switch", "writes", kills=kills)
    await asyncio.sleep(rest)


async def go_back(life: Life, to: str, rest: float = 0, *, kills: int = 0) -> None:
    """Back, from `dual_write` to `prepare` or from any later phase to `dual_write`."""
    await life.move("rollback", "--to", to, kills=kills)
    await asyncio.sleep(rest)


async def back_from_each(life: Life, rest: float, *, kills: int) -> None:
    """From `prepare` to each phase, and back to `prepare` in the end."""
    await follow(life, rest, kills=kills)
    await go_back(life, "prepare", rest, kills=kills)
    await follow(life, rest, kills=kills)
    await move_reads(life, rest, percent="50", kills=kills)
    await go_back(life, "dual-write", rest, kills=kills)
    await move_reads(life, rest, percent="50", kills=kills)
    await move_reads(life, rest, kills=kills)
    await move_writes(life, rest, kills=kills)
    await go_back(life, "dual-write", rest, kills=kills)
    await go_back(life, "prepare", rest, kills=kills)


async def forward(life: Life, rest: float, *, kills: int) -> None:
    """From `prepare` to `write_target`."""
    await follow(life, rest, kills=kills)
    await move_reads(life, rest, kills=kills)
    await move_writes(life, rest, kills=kills)


@asynccontextmanager
async def lived(life: Life, between_kills: tuple[float, float], *, relays: int = 1) -> AsyncIterator[None]:
    """Applications and relays while the block runs, killed again and again, and faults.

    Args:
        life: whose they are.
        between_kills: seconds from one kill to the next, at least and at most.
        relays: how many.
    """
    rules = [life.proxy.inject(fault, rate=rate) for fault, rate in FAULTS]
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        applications = [life.application(place) for place in range(len(LEASES))]
        parts: list[Part] = [*applications, *(life.relay(number + 1) for number in range(relays))]
        for part in parts:
            stack.callback(part.close)
            await part.start()
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(_kill(life, parts, between_kills)), group.create_task(_keep(parts))]
            yield
            for task in beside:
                task.cancel()
        # What an application has begun, it ends; relays are killed where they are.
        for each in applications:
            await each.end()
    life.figures.seconds = time.monotonic() - begun
    for rule in rules:
        life.proxy.remove(rule)
    await asyncio.to_thread(life.proxy.release)


async def _kill(life: Life, parts: Sequence[Part], between: tuple[float, float]) -> None:
    """Kill one of them after another, and start it again."""
    while True:
        for part in life.random.sample(parts, len(parts)):
            await asyncio.sleep(life.random.uniform(*between))
            async with part.turn:
                if await part.kill():
                    life.figures.kills[part.name.partition(" ")[0]] += 1
                    await part.start()


async def _keep(parts: Sequence[Part]) -> None:
    """Start those again that have ended by themselves."""
    while True:
        await asyncio.sleep(_BETWEEN_STARTS)
        for part in parts:
            async with part.turn:
                if not await part.check():
                    await part.start()
