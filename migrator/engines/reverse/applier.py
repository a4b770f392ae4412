"""The changes of one table, carried back turn by turn, each under the table's lock: any number may take turns."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, TypeVar

from migrator.dynamodb.shards import StreamLostError
from migrator.engines.reverse.course import parts
from migrator.errors import LockedError, SourceError, TargetError
from migrator.postgres import streams, verifications
from migrator.postgres.connection import session
from migrator.postgres.locks import lock
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from migrator.dynamodb.streams import Change, Reading
    from migrator.engines.reverse.course import Course
    from migrator.engines.reverse.landing import Landed, Landing
    from migrator.engines.reverse.outcome import Limits, Listener, Outcome
    from migrator.postgres.connection import Connection

Result = TypeVar("Result")

_IDLE_SECONDS: Final = 0.5
_DRAINING_SECONDS: Final = 0.1
_LONGEST_PAUSE: Final = 15.0
_RETRY_SECONDS: Final = 2.0
_QUIET_ROUNDS: Final = 2


class Turn(Enum):
    """What a turn has found: changes, none, that somebody else has the turn, or that there is nothing to carry back."""

    BUSY = auto()
    QUIET = auto()
    HELD = auto()
    OVER = auto()


class Applier:
    """Carries one table's changes back. It holds how far it is, and when it last tried what is refused.

    Args:
        landing: the table.
        course: its stream.
        url: the source.
        outcome: where what is done is counted.
        limits: the bounds.
        listener: who is told.
        stop: ends it when what is under way is done.
    """

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        landing: Landing,
        course: Course,
        url: str | None,
        outcome: Outcome,
        *,
        limits: Limits,
        listener: Listener,
        stop: asyncio.Event,
    ) -> None:
        self.landing = landing
        self.course = course
        self._url = url
        self._outcome = outcome
        self._limits = limits
        self._listener = listener
        self._stop = stop
        self._tried_at = 0.0
        self._pause = _IDLE_SECONDS

    async def follow(self, look: Callable[[Connection], Awaitable[None]], *, until_drained: bool) -> None:
        """Takes turn after turn, until it is to stop, nothing is carried back any more, or the stream is drained.

        Raises:
            StreamLostError: changes have gone unread.
            GateError: somebody has written past the fence.
            SourceError, TargetError: a store failed at first, or until the stream is drained; later it is waited for.
        """
        while not self._stop.is_set():
            try:
                async with session(self._url, purpose="reverse") as connection:
                    await self._turns(connection, look, until_drained=until_drained)
                    return
            except (SourceError, TargetError) as error:
                self.course.begin_anew()
                if until_drained or isinstance(error, StreamLostError):
                    raise
                self._listener.failed(error, self._pause)
            await self._rest(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def _turns(
        self, connection: Connection, look: Callable[[Connection], Awaitable[None]], *, until_drained: bool
    ) -> None:
        quiet = 0
        while not self._stop.is_set():
            turn = await self._turn(connection)
            self._pause = _IDLE_SECONDS
            if turn is Turn.OVER:
                return
            quiet = quiet + 1 if turn is Turn.QUIET else 0
            await look(connection)
            if until_drained and quiet >= _QUIET_ROUNDS:
                return
            if turn is not Turn.BUSY:
                await self._rest(_DRAINING_SECONDS if until_drained else _IDLE_SECONDS)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _turn(self, connection: Connection) -> Turn:
        try:
            async with lock(connection, self.landing.lock):
                return await self._round(connection)
        except LockedError:
            return Turn.HELD

    async def _round(self, connection: Connection) -> Turn:
        """One page of each shard, carried back."""
        standing = await self.landing.standing(connection)
        if not standing:
            return Turn.OVER
        since = max(each.seconds or 0.0 for each in standing.values())
        readings = await self.course.read(connection, since)
        for part in parts(readings, self._limits.batch):
            if not await self._carry(connection, part):
                return Turn.OVER
        if time.monotonic() - self._tried_at >= _RETRY_SECONDS:
            self._tried_at = time.monotonic()
            await self._try_again(connection, await verifications.now(connection), self._limits.batch)
        busy = any(each.changes or each.position.ended for each in readings)
        return Turn.BUSY if busy else Turn.QUIET

    async def _carry(self, connection: Connection, readings: Sequence[Reading]) -> bool:
        """Carries readings back, their places in the stream with the last of them; returns False where that is over."""
        table = self.landing.table
        # Of several changes of a key the last one counts.
        last: dict[ItemKey, Change] = {
            ItemKey.of(table, change.key): change for each in readings for change in each.changes
        }
        changes = {key: change.removed for key, change in last.items() if not change.by_ttl}
        expired = [key for key, change in last.items() if change.by_ttl]
        reached = self.course.reached(readings)
        if not (last or reached.shards):
            return True
        keys = list(changes)
        for start in range(0, max(len(keys), 1), self._limits.batch):
            some = {key: changes[key] for key in keys[start : start + self._limits.batch]}
            ends = start + self._limits.batch >= len(keys)
            landed = await self.landing.land(
                connection, some, reached=reached if ends else None, settled=expired if ends else ()
            )
            if landed.over:
                return False
            self._count(landed, len(some))
        self.course.note(reached)
        return True

    def _count(self, landed: Landed, keys: int) -> None:
        self._outcome.applied += landed.written
        self._outcome.deleted += landed.deleted
        self._outcome.skipped += landed.skipped
        self._outcome.refused += len(landed.refused)
        for entity, reason in dict.fromkeys(landed.refused.values()):
            self._listener.refused(entity, reason)
        if keys:
            self._listener.progressed(self._outcome)

    async def settle(self, connection: Connection) -> bool:
        """Tries all again that was refused, once; returns whether the source has taken any of it.

        Raises:
            GateError, SourceError, TargetError: as `follow`.
        """
        now = await verifications.now(connection)
        return await alone(connection, self.landing.lock, lambda: self._try_again(connection, now))

    async def _try_again(self, connection: Connection, before: datetime, most: int | None = None) -> bool:
        """Tries again what was last tried before that; returns whether the source has taken any of it."""
        model, table = self.landing.model.name, self.landing.table.name
        taken, tried = False, 0
        while most is None or tried < most:
            waiting = await streams.refused(connection, model, table, before=before, limit=self._limits.batch)
            if not waiting:
                break
            changes = {ItemKey(table, key.encode()): removed for key, removed in waiting.items()}
            landed = await self.landing.land(connection, changes)
            if landed.over:
                break
            self._outcome.applied += landed.written
            self._outcome.deleted += landed.deleted
            taken = taken or len(landed.refused) < len(changes)
            tried += len(changes)
        return taken


async def alone(connection: Connection, name: str, work: Callable[[], Awaitable[Result]]) -> Result:
    """Does work under a lock for which it waits its turn.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    while True:
        with suppress(LockedError):
            async with lock(connection, name):
                return await work()
