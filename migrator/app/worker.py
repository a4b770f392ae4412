"""The thread that mirrors: rows are queued by the application's threads, and carried over by a loop of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from migrator.app.breaker import Breaker
from migrator.app.mirror import opened
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future

    from migrator.app.counts import Reason, Tally
    from migrator.app.limits import Limits
    from migrator.app.mirror import Mirror, Place
    from migrator.app.own_writes import Write
    from migrator.app.row_name import RowName
    from migrator.mapping import Model

_LOG: Final = logging.getLogger("migrator.app")
_LAST_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Handed:
    """Rows of one transaction; `done` is resolved when they are carried over or left, where anybody waits for it.

    `writes` is what whoever has committed them remembers of them; it is told which of them DynamoDB has.
    """

    rows: Sequence[RowName]
    done: Future[None] | None
    writes: Mapping[RowName, Write] = field(default_factory=dict)

    def confirm(self, rows: frozenset[RowName]) -> None:
        """Tells of these rows that DynamoDB has them."""
        now = time.monotonic()
        for row, write in self.writes.items():
            if row in rows:
                write.mirrored_at = now

    def resolve(self) -> None:
        """Tells whoever waits."""
        if self.done is not None and self.done.set_running_or_notify_cancel():
            self.done.set_result(None)


class Worker:
    """One thread with its loop, its sessions and its connections, from `start` to `stop`. Holds the queue.

    Args:
        model: the model.
        place: where the stores are.
        limits: the bounds.
        tally: what is counted where.
    """

    def __init__(self, model: Model, place: Place, limits: Limits, tally: Tally) -> None:
        self.followed: frozenset[str] | None = None
        """The source tables whose changes are carried over; None: not yet known."""
        self._model = model
        self._place = place
        self._limits = limits
        self._tally = tally
        self._breaker = Breaker(limits.failures, limits.rest)
        self._queue: deque[Handed] = deque()
        self._queued = 0
        self._signalled = False
        self._accepts = True
        self._unopened: str | None = None  # why the stores could not be opened, when it was tried last
        self._ready = Event()
        self._thread = Thread(target=self._run, name="migrator mirror", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._wake: asyncio.Event
        self._stopping: asyncio.Event
        self._main: asyncio.Task[None]

    def start(self) -> None:
        """Starts the thread; the stores are opened by it, so that nobody waits for them."""
        self._thread.start()
        self._ready.wait()

    def submit(self, handed: Handed) -> Reason | None:
        """Queues rows, or says why they are left to the relay. Called by any thread; it never waits."""
        if not self._accepts:
            return "closed"
        if self._unopened is not None or self._breaker.resting:
            return "resting"
        # Counted without a lock: a queue that is a few rows too long harms nobody.
        if self._queued + len(handed.rows) > self._limits.queue:
            return "queue_full"
        self._queued += len(handed.rows)
        self._queue.append(handed)
        if handed.done is not None or not self._signalled:
            self._signalled = True
            try:
                self._loop.call_soon_threadsafe(self._signal, 0.0 if handed.done is not None else self._limits.gather)
            except RuntimeError:
                # The loop has ended since: so has everything that waits in the queue.
                self._leave_all()
        return None

    def stop(self, seconds: float) -> None:
        """Carries over what is queued, for so many seconds, and closes all; the rest is left to the relay."""
        self._accepts = False
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(seconds)
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(_LAST_SECONDS)
        self._leave_all()

    def _run(self) -> None:
        # Whatever loop the policy of the application makes for its own threads.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            try:
                runner.run(self._work())
            except asyncio.CancelledError:
                _LOG.warning("the mirror was stopped before all was carried over; the relay will do it")
            finally:
                self._accepts = False
                self._ready.set()
                self._leave_all()

    async def _work(self) -> None:
        """Opens the stores, again and again if need be, and serves the queue until it is to stop."""
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()  # type: ignore[assignment] # a task
        self._wake, self._stopping = asyncio.Event(), asyncio.Event()
        self._ready.set()
        pause = 0.5
        while not self._stopping.is_set():
            try:
                async with opened(self._model, self._place, self._limits) as mirror:
                    self.followed, self._unopened = mirror.followed, None
                    _LOG.info("rows are mirrored to DynamoDB")
                    await self._serve(mirror)
            except MigratorError as error:
                if str(error) != self._unopened:
                    _LOG.warning("rows are left to the relay, until the stores can be used: %s", _told(error))
                self._unopened = str(error)
                self._leave_all("resting")
                await self._rest(pause)
                pause = min(2 * pause, self._limits.rest)

    async def _serve(self, mirror: Mirror) -> None:
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(self._renew(mirror))
            hands = [group.create_task(self._hand(mirror)) for _ in range(self._limits.hands)]
            await self._stopping.wait()
            self._wake.set()
            await asyncio.wait(hands)
            renewing.cancel()

    async def _renew(self, mirror: Mirror) -> None:
        """Keeps what is known of phases and tables fresh. A source that is away is the hands' affair."""
        loop = asyncio.get_running_loop()
        inspected = loop.time()
        while not self._stopping.is_set():
            await self._rest(self._limits.lease)
            with suppress(MigratorError, TimeoutError):
                async with asyncio.timeout(self._limits.attempt):
                    await mirror.renew()
                    self.followed = mirror.followed
                    if loop.time() - inspected >= self._limits.inspection:
                        await mirror.inspect()
                        inspected = loop.time()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _signal(self, delay: float) -> None:
        if delay:
            self._loop.call_later(delay, self._awake)
        else:
            self._awake()

    def _awake(self) -> None:
        self._signalled = False
        self._wake.set()

    async def _hand(self, mirror: Mirror) -> None:
        """Takes batch after batch when it is woken, until it is to stop and nothing waits."""
        while True:
            await self._wake.wait()
            batch = self._take()
            if not self._queue and not self._stopping.is_set():
                # What comes from now on is gathered again, and wakes a hand in its time.
                self._wake.clear()
            if not batch:
                if self._stopping.is_set():
                    return
                continue
            try:
                confirmed = await self._batch(mirror, list(dict.fromkeys(row for each in batch for row in each.rows)))
                for each in batch:
                    each.confirm(confirmed)
            finally:
                for each in batch:
                    each.resolve()

    def _take(self) -> list[Handed]:
        batch: list[Handed] = []
        rows = 0
        while self._queue and rows < self._limits.batch:
            batch.append(self._queue.popleft())
            rows += len(batch[-1].rows)
        self._queued -= rows
        return batch

    async def _batch(self, mirror: Mirror, rows: Sequence[RowName]) -> frozenset[RowName]:
        """Carries rows over, if possible; returns those of which it is known that DynamoDB has them."""
        if not self._breaker.lets_through():
            self._tally.add(left={"resting": len(rows)})
            return frozenset()
        try:
            async with asyncio.timeout(self._limits.attempt):
                carried = await mirror.carry(rows)
        except (MigratorError, TimeoutError) as error:
            self._tally.add(failures=1, left={"failed": len(rows)})
            if self._breaker.failed():
                _LOG.warning("the mirror rests, rows are left to the relay: %s", _told(error))
            return frozenset()
        self._tally.add(mirrored=carried.mirrored, set_aside=carried.set_aside, left=carried.left)
        if self._breaker.succeeded():
            _LOG.info("the mirror goes on")
        return carried.confirmed

    def _leave_all(self, reason: Reason = "closed") -> None:
        """Leaves everything that is queued to the relay."""
        left: Counter[Reason] = Counter()
        with suppress(IndexError):
            while True:
                handed = self._queue.popleft()
                left[reason] += len(handed.rows)
                self._queued -= len(handed.rows)
                handed.resolve()
        self._tally.add(left=left)


def _told(error: MigratorError | TimeoutError) -> str:
    """A failure in one line."""
    if isinstance(error, MigratorError):
        return str(error) if error.next_step is None else f"{error}; next: {error.next_step}"
    return "a batch took longer than it may"
