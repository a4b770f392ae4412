"""The thread beside the reads: it renews the lease, and repeats a sample of the reads in both stores."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from migrator.app.loop_thread import LoopThread
from migrator.app.shadow import Shadow
from migrator.dynamodb.client import Client
from migrator.dynamodb.session import open_session
from migrator.errors import MigratorError
from migrator.postgres import catalog, pending, phases
from migrator.postgres.connection import pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from migrator.app.lease import Lease
    from migrator.app.limits import ReadLimits
    from migrator.app.mirror import Place
    from migrator.app.question import Question
    from migrator.app.read_counts import ReadTally
    from migrator.dynamodb.session import Session
    from migrator.mapping import Model
    from migrator.postgres.connection import Pool

_LOG: Final = logging.getLogger("migrator.app")
_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 1.0
"""Short: whoever reads or writes waits for the phase record, and fails without it."""
_LEAST_PAUSE_SECONDS: Final = 0.02
_CLOSING_SECONDS: Final = 1.0
_COMPARED_AT_ONCE: Final = 4
_SESSIONS: Final = _COMPARED_AT_ONCE + 1
_ATTEMPT_SECONDS: Final = 5.0


class Watch:
    """From `start` to `stop`. Holds the queue of reads to repeat.

    Args:
        model: the model.
        place: where the stores are.
        limits: the bounds.
        lease: what is renewed.
        tally: what is counted where.
    """

    def __init__(self, model: Model, place: Place, limits: ReadLimits, lease: Lease, tally: ReadTally) -> None:
        self._model = model
        self._place = place
        self._limits = limits
        self._lease = lease
        self._tally = tally
        self._queue: deque[Question] = deque()
        self._wake: asyncio.Event | None = None
        self._unopened: str | None = None
        self._asked: asyncio.Event | None = None
        self._thread = LoopThread("migrator watch", self._work)

    def start(self) -> None:
        """Starts the thread; the stores are opened by it, so that nobody waits for them."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread with its connections; what waits is not compared any more."""
        self._thread.stop(_CLOSING_SECONDS)

    def repeat(self, question: Question) -> None:
        """Has a read repeated and compared, if there is room. Called by any thread; it never waits."""
        wake = self._wake
        if wake is None or len(self._queue) >= self._limits.queue:
            self._tally.sampled(question.pattern.id, "skipped")
            return
        self._queue.append(question)
        self._thread.call_soon(wake.set)

    def look(self) -> None:
        """Has the phase record read now rather than in a while. Called by any thread; it does not wait."""
        asked = self._asked
        if asked is not None:
            self._thread.call_soon(asked.set)

    async def _work(self, stopping: asyncio.Event) -> None:
        """Opens the source, again and again if need be, and watches until it is to stop."""
        pause = _PAUSE_SECONDS
        while not stopping.is_set():
            if self._is_over():
                # PostgreSQL is not needed any more, and may be switched off.
                await stopping.wait()
                return
            asked_at = time.monotonic()
            try:
                async with pool(self._place.database_url, purpose="reads", size=_SESSIONS) as sessions:
                    self._unopened, pause = None, _PAUSE_SECONDS
                    await self._watch(sessions, stopping)
            except MigratorError as error:
                if str(error) != self._unopened:
                    _LOG.warning("it is not known which store is the master, until the phases can be read: %s", error)
                self._unopened = str(error)
                self._lease.not_renewed(asked_at)
                await _rest(stopping, pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _watch(self, sessions: Pool, stopping: asyncio.Event) -> None:
        comparing = asyncio.create_task(self._compare_all(sessions))
        comparing.add_done_callback(self._compares_no_more)
        try:
            asked = self._asked = asyncio.Event()
            # What everybody waits for comes first.
            await self._renew(sessions, None)
            sources = await self._sources(sessions)
            while not self._is_over() and not stopping.is_set():
                asked.clear()
                await self._renew(sessions, sources)
                await _rest_unless(asked, stopping, self._limits.lease / 3)
        finally:
            self._asked = None
            comparing.cancel()
            await asyncio.wait([comparing])

    def _is_over(self) -> bool:
        """Whether all that PostgreSQL could say is known for good."""
        return self._lease.completed.issuperset(entity.name for entity in self._model.entities)

    def _compares_no_more(self, comparing: asyncio.Task[None]) -> None:
        """Whatever has ended it, the lease does not depend on it."""
        self._wake = None
        if not comparing.cancelled() and comparing.exception() is not None:
            _LOG.error("reads are not repeated any more: %s", type(comparing.exception()).__name__)

    async def _sources(self, sessions: Pool) -> list[str]:
        """The names that marks have for the model's tables; those of entities in `complete` may be gone."""
        with errors_explained("connect to the source"):
            async with sessions.acquire() as connection:
                return [
                    str((await catalog.require(connection, TableName(each.source.name, each.source.schema))).table)
                    for each in self._model.entities
                    if each.name not in self._lease.completed
                ]

    async def _renew(self, sessions: Pool, sources: list[str] | None) -> None:
        """Reads the phases, and the marks of these sources. While PostgreSQL does not answer, the lease runs out."""
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(self._limits.lease):
                with errors_explained("connect to the source"):
                    async with sessions.acquire() as connection:
                        standings = await phases.known(connection, self._model.name)
                        # Before the first phase there may be no marks, nor a table of them.
                        marked = sources if standings else None
                        horizon = None if marked is None else await pending.horizon(connection, marked)
        except (MigratorError, TimeoutError) as error:
            _LOG.info("the phases could not be read: %s", error)
            self._lease.not_renewed(asked_at)
            return
        self._lease.renew(asked_at, standings, horizon)

    async def _compare_all(self, sessions: Pool) -> None:
        """Repeats reads, a few at once; a target that cannot be opened is tried again with the next one."""
        wake = self._wake = asyncio.Event()
        while True:
            await wake.wait()
            wake.clear()
            try:
                session = await self._session()
                if session is None:
                    return
                async with Client(session, patience=_ATTEMPT_SECONDS, request_timeout=_ATTEMPT_SECONDS) as client:
                    shadow = Shadow(sessions, client, self._limits, self._is_followed)
                    await asyncio.gather(*(self._compare(shadow, wake) for _ in range(_COMPARED_AT_ONCE)))
            except MigratorError as error:
                _LOG.warning("reads are not repeated: %s", error)
                while self._queue:
                    self._tally.sampled(self._queue.popleft().pattern.id, "failed")

    def _is_followed(self, entity: str) -> bool:
        """Whether PostgreSQL is the master, so that the two stores' answers are to be the same."""
        return self._lease.holds and self._lease.standing(entity).phase in phases.FOLLOWED

    async def _session(self) -> Session | None:
        """What a client needs to reach the target; None: the interpreter ends, and starts no threads any more."""
        place = self._place
        opening = partial(open_session, profile=place.profile, region=place.region, endpoint_url=place.endpoint_url)
        try:
            return await asyncio.to_thread(opening)
        except RuntimeError:
            return None

    async def _compare(self, shadow: Shadow, wake: asyncio.Event) -> None:
        while True:
            while self._queue:
                question = self._queue.popleft()
                try:
                    verdict = await shadow.compare(question)
                except MigratorError as error:
                    _LOG.info("a read of access pattern %s was not repeated: %s", question.pattern.id, error)
                    verdict = "failed"
                self._tally.sampled(question.pattern.id, verdict)
            await wake.wait()
            wake.clear()


async def _rest(stopping: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


async def _rest_unless(asked: asyncio.Event, stopping: asyncio.Event, seconds: float) -> None:
    """Rests until it is to stop, or is asked."""
    await asyncio.sleep(_LEAST_PAUSE_SECONDS)
    waiting = [asyncio.create_task(event.wait()) for event in (asked, stopping)]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
