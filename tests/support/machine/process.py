"""Processes that pause at named points, until they are let on or die there."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Coroutine

Fate: TypeAlias = Literal["delivered", "unanswered", "held"]
"""What becomes of a request that is sent: it is delivered and answered; delivered, and the answer is lost; or held
back, to arrive later or never."""


class Crash(BaseException):
    """The process is dead: nothing that it would still do happens."""


@dataclass(eq=False)
class Gate:
    """One task of a process that waits at a point."""

    point: str
    detail: str
    opened: asyncio.Future[Fate]


@dataclass(eq=False)
class Process:
    """What a command, or an application's mirror, does from its beginning to its end.

    `kind` is what it is. One that is `free` stops nowhere. Where tasks of it work side by side, `grace` seconds are
    left to the slower ones. `reached` counts the points that it came to.
    """

    kind: str
    free: bool = False
    grace: float = 0.0
    dead: bool = False
    gates: list[Gate] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    rested: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Any] = field(init=False)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        context = copy_context()
        context.run(CURRENT.set, self)
        self.task = asyncio.get_running_loop().create_task(work, context=context)

    @property
    def ended(self) -> bool:
        return self.task.done()

    async def reach(self, point: str, detail: str) -> Fate:
        """Waits at a point until it is let on."""
        if self.dead:
            raise Crash
        self.reached[point] += 1
        if self.free:
            return "delivered"
        gate = Gate(point, detail, asyncio.get_running_loop().create_future())
        self.gates.append(gate)
        self._arrived.set()
        try:
            return await gate.opened
        finally:
            self.gates.remove(gate)

    async def pause(self) -> None:
        """Returns when it stands at a gate, or has ended."""
        while not self.gates and not self.task.done():
            self._arrived.clear()
            arrived = asyncio.ensure_future(self._arrived.wait())
            await asyncio.wait([arrived, self.task], return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()
        # Others of its tasks may be about to arrive as well.
        for _ in range(8):
            await asyncio.sleep(self.grace / 8)
        self.check()

    async def step(self, which: int, fate: Fate) -> str | None:
        """Lets one of its tasks on to where it waits next; returns the point that it has left."""
        if self.ended or not self.gates:
            return None
        waiting = sorted(self.gates, key=lambda gate: (gate.point, gate.detail))
        gate = waiting[which % len(waiting)]
        gate.opened.set_result(fate)
        await asyncio.sleep(0)
        await self.pause()
        return gate.point

    async def lead_to(self, point: str, times: int = 1) -> None:
        """Lets it on until one of its tasks waits at a point, for the first time or a later one."""
        passed = 0
        while True:
            passed += any(gate.point == point for gate in self.gates)
            if passed >= times:
                return
            assert await self.step(0, "delivered") is not None, f"{self.kind} does not come to {point!r}"

    async def finish(self) -> None:
        """Lets it on to its end."""
        self.free = True
        for gate in self.gates:
            if not gate.opened.done():
                gate.opened.set_result("delivered")
        await asyncio.wait([self.task])
        self.check()

    async def crash(self) -> list[str]:
        """It dies where it is; returns the points at which it did."""
        points = [gate.point for gate in self.gates]
        self.dead = True
        for gate in self.gates:
            if not gate.opened.done():
                gate.opened.set_exception(Crash())
        if not self.ended:
            await asyncio.sleep(0)
            self.task.cancel()
            await asyncio.wait([self.task])
        self.check()
        return points

    def check(self) -> None:
        """Raises what nobody foresaw."""
        if not self.task.done() or self.task.cancelled():
            return
        error = self.task.exception()
        if error is not None and not isinstance(error, MigratorError | Crash | asyncio.CancelledError):
            raise error


CURRENT: ContextVar[Process | None] = ContextVar("CURRENT", default=None)


async def reach(point: str, detail: str = "") -> Fate:
    """A point that the current process has come to; what is no process of the machine's passes."""
    process = CURRENT.get()
    return "delivered" if process is None else await process.reach(point, detail)
