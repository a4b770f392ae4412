"""The course of the story: load, kills, and what comes after them."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Final

from tests.support.story import FAULTS
from tests.support.story_load import Writer
from tests.support.story_processes import finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.story import Story
    from tests.support.story_processes import Part

WRITERS: Final = 16
RATE: Final = 250.0
"""Changed rows per second that all writers together aim at."""
_POLL_SECONDS: Final = 0.05
_BETWEEN_COPIES: Final = 2.0
_BETWEEN_KILLS: Final = (0.3, 3.5)


async def tell(story: Story, *, kills: int, writes: int) -> None:
    """Load and kills, until so many processes were killed and so many rows changed; then everything is settled.

    Raises:
        AssertionError: a process has ended as it should not, or a command of the end has.
    """
    rules = [story.proxy.inject(fault, rate=rate) for fault, rate in FAULTS]
    async with AsyncExitStack() as stack:
        application = await stack.enter_async_context(story.application())
        copy = await stack.enter_async_context(
            story.part("copy", "migrator", "copy", more="--restart --yes", ends=(0,))
        )
        relays = [await stack.enter_async_context(story.part(f"relay {n}", "migrator", "relay")) for n in (1, 2)]
        for part in (application, copy, *relays):
            await part.start()
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            copying = group.create_task(_again_and_again(copy, over))
            async with writing(story, writes):
                await _kill(story, [application, copy, *relays], kills)
            over.set()
            await copying
        for rule in rules:
            story.proxy.remove(rule)
        await copy.end(ask=False)
        for part in (application, *relays):
            await part.end()
        story.figures.copies = copy.completed + 1
    await story.settled()
    await finished(story.environment, "migrator", "verify")
    await story.count()


@asynccontextmanager
async def writing(story: Story, writes: int) -> AsyncIterator[None]:
    """Keep the application busy during the block, and after it until so many rows were changed."""
    begun, stop = time.monotonic(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(WRITERS):
            random = Random(story.random.random())  # noqa: S311 - repeatable, not secret
            writer = Writer(story.ledger, story.base, random, (number, WRITERS), RATE / WRITERS)
            group.create_task(writer.run(stop))
        yield
        while story.ledger.changed < writes:  # noqa: ASYNC110 - the ledger tells nobody
            await asyncio.sleep(_POLL_SECONDS)
        stop.set()
    story.figures.seconds = time.monotonic() - begun


async def _again_and_again(copy: Part, over: asyncio.Event) -> None:
    """A copy that has come to its end is begun anew."""
    while not over.is_set():
        async with copy.turn:
            if not await copy.check():
                await asyncio.sleep(_BETWEEN_COPIES)
                copy.completed += 1
                await copy.start()
        await asyncio.sleep(_POLL_SECONDS)


async def _kill(story: Story, parts: list[Part], kills: int) -> None:
    """Kill one of them after another, in an order and at moments drawn at random, and start each again."""
    modes = cycle(("inline", "background"))
    order: list[Part] = []
    while sum(part.kills for part in parts) < kills:
        order = order or story.random.sample(parts, len(parts))
        await asyncio.sleep(story.random.uniform(*_BETWEEN_KILLS))
        part = order[-1]
        async with part.turn:
            if not await part.kill():
                continue
            more = {}
            if part.name == "application":
                await story.gone()
                more["STORY_MODE"] = next(modes)
            await part.start(**more)
        order.pop()
        story.figures.kills[part.name] += 1
        for other in parts:
            async with other.turn:
                await other.check()
