"""A relay from its start until it is stopped, or until no mark waits."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from migrator.dynamodb.check import check
from migrator.dynamodb.client import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.collector import seldom_collected
from migrator.engines.relay.burial import purge
from migrator.engines.stores import live_table
from migrator.engines.together import together
from migrator.errors import ConfigurationError, GateError, SourceError, TargetError
from migrator.postgres import pending, phases, state, timelines
from migrator.postgres.connection import connect, pool
from migrator.postgres.errors import errors_explained
from migrator.reconcile import Lookup, Reconciler, Times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.errors import MigratorError
    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Pool
    from migrator.postgres.pending import Backlog

_HANDS: Final = 2
_IDLE_SECONDS: Final = 0.25
_LONGEST_PAUSE: Final = 15.0
_PURGE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 2.0
_TAKE_UP_SECONDS: Final = 5.0
_SHARE_OF_LIFE: Final = 0.25
"""Of the units of a request's life: a mark stands for several items as a rule, of a unit or more."""


@dataclass(frozen=True)
class Limits:
    """Marks that are taken at once, how long requests live, and the write units per second to stay within."""

    batch: int = 200
    times: Times = field(default_factory=Times)
    max_wcu: float | None = None

    @property
    def marks(self) -> int:
        """Marks that are taken at once, no more than can be written while a request lives."""
        if self.max_wcu is None:
            return self.batch
        return max(1, min(self.batch, int(self.max_wcu * self.times.request * _SHARE_OF_LIFE)))


@dataclass
class Outcome:
    """What a relay has done: marks settled and set aside, items and tombstones written, tombstones purged.

    `aside` marks, of this run or others, are still set aside where it has run until none waited.
    """

    settled: int = 0
    set_aside: int = 0
    written: int = 0
    purged: int = 0
    aside: int = 0
    seconds: float = 0.0


class Listener(Protocol):
    """Who is told of a relay's work."""

    def progressed(self, outcome: Outcome) -> None:
        """A batch was settled."""

    def looked(self, outcome: Outcome, backlog: Backlog) -> None:
        """So much waits, beside what was done."""

    def set_aside(self, source: str, reason: str) -> None:
        """A mark of a source cannot be reconciled, and waits with its reason until somebody has looked at it."""

    def refused(self, error: MigratorError) -> None:
        """A table's changes are not carried over any more, until it fits again; the others' are."""

    def taken_up(self, source: str) -> None:
        """A source that was refused fits again, and its changes are carried over."""

    def warned(self, sentence: str) -> None:
        """Something that the operator should see to; the work goes on."""

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed; the work goes on after so many seconds."""


class Silent:
    """A listener that tells nobody."""

    def progressed(self, outcome: Outcome) -> None:
        """As in `Listener`."""

    def looked(self, outcome: Outcome, backlog: Backlog) -> None:
        """As in `Listener`."""

    def set_aside(self, source: str, reason: str) -> None:
        """As in `Listener`."""

    def refused(self, error: MigratorError) -> None:
        """As in `Listener`."""

    def taken_up(self, source: str) -> None:
        """As in `Listener`."""

    def warned(self, sentence: str) -> None:
        """As in `Listener`."""

    def failed(self, error: MigratorError, pause: float) -> None:
        """As in `Listener`."""


async def relay(  # noqa: PLR0913 - what a run is made of
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    limits: Limits,
    until_empty: bool,
    stop: asyncio.Event,
    listener: Listener,
) -> Outcome:
    """Reconciles what the marks of these entities name, until `stop` is set or, with `until_empty`, no mark waits.

    Marks that were set aside are tried once more, at the beginning. A store that goes away later is waited for, and a
    table that has changed is taken up when it fits again, unless `until_empty`.

    Raises:
        GateError: an entity is in a phase in which its changes are not followed.
        ConfigurationError: the source schema is not what the mapping declares, or `prepare` has not been run; with
            `until_empty`, a table has changed meanwhile: its marks wait, the others are settled.
        SourceError, TargetError: a store cannot be reached or used. Every mark that is not settled waits on.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        stack.enter_context(seldom_collected())
        lookups = await _open(model, entities, stores)
        client = await stack.enter_async_context(Client(await asyncio.to_thread(stores.target)))
        for name in dict.fromkeys(entity.table.name for entity in entities):
            await check(client, name)
        sessions = await stack.enter_async_context(pool(stores.database_url, purpose="relay", size=2 * _HANDS + 2))
        run = _Relay(
            model,
            lookups,
            client,
            sessions,
            limits=limits,
            listener=listener,
            stop=stop,
            until_empty=until_empty,
        )
        async with together() as group:
            hands = [group.create_task(run.hand()) for _ in range(_HANDS)]
            beside = [group.create_task(each) for each in (run.bury(), run.look(), run.take_up())]
            await asyncio.wait(hands, return_when=asyncio.FIRST_EXCEPTION)
            await asyncio.wait(hands, return_when=asyncio.ALL_COMPLETED)
            for task in beside:
                task.cancel()
        if until_empty:
            run.outcome.aside = (await run.backlog()).set_aside
            for error in run.refused.values():
                raise error
    run.outcome.seconds = time.monotonic() - began
    return run.outcome


async def _open(model: Model, entities: Sequence[Entity], stores: Stores) -> dict[str, Lookup]:
    """Sees that these entities are followed, and lets what was set aside wait again; returns how to find their rows."""
    control = await connect(stores.database_url, purpose="relay")
    try:
        await state.require(control)
        standings = await phases.standings(control, model.name)
        unfollowed = [each.name for each in entities if not standings.get(each.name, phases.Standing()).is_followed]
        if unfollowed:
            raise GateError(
                f"changes of {', '.join(unfollowed)} are not followed in their phase",
                safe="nothing was done; marks gather",
                next_step="migrate switch dual-write",
            )
        lookups = {entity.name: Lookup(entity, await live_table(control, entity)) for entity in entities}
        await timelines.promotion(control, [])
        await pending.try_again(control, [str(lookup.live.table) for lookup in lookups.values()])
        return lookups
    finally:
        await control.close()


class _Relay:
    """The hands of one relay. Holds what they have done, how rows are found, and why sources are refused."""

    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        model: Model,
        lookups: Mapping[str, Lookup],
        client: Client,
        sessions: Pool,
        *,
        limits: Limits,
        listener: Listener,
        stop: asyncio.Event,
        until_empty: bool,
    ) -> None:
        self.outcome = Outcome()
        self.refused: dict[str, MigratorError] = {}
        self._model = model
        self._lookups = dict(lookups)
        self._client = client
        self._pace = None if limits.max_wcu is None else Pace(limits.max_wcu)
        self._sessions = sessions
        self._limits = limits
        self._listener = listener
        self._stop = stop
        self._until_empty = until_empty
        self._reconciler = self._new_reconciler()

    def _new_reconciler(self) -> Reconciler:
        return Reconciler(self._model, self._lookups, self._client, times=self._limits.times, pace=self._pace)

    async def hand(self) -> None:
        """Takes batch after batch; what is under way when it is to stop is brought to its end."""
        pause = _IDLE_SECONDS
        while not self._stop.is_set():
            try:
                moved = await self._batch()
            except (SourceError, TargetError) as error:
                if self._until_empty:
                    raise
                self._listener.failed(error, pause)
                moved, pause = False, min(2 * pause, _LONGEST_PAUSE)
            else:
                pause = _IDLE_SECONDS
                if not moved and self._until_empty and await self._is_empty():
                    return
            if not moved:
                await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    async def _batch(self) -> bool:
        """One batch of marks; returns whether any of them was settled or set aside."""
        with errors_explained("connect to the source"):
            async with (
                self._sessions.acquire() as holding,
                self._sessions.acquire() as reading,
                pending.claimed(holding, self._sources, self._limits.marks) as claim,
            ):
                if not claim.marks:
                    return False
                settled = await self._reconciler.reconcile(reading, claim.marks)
                await claim.settle(settled.done, settled.reasons)
        sources = {mark.id: mark.source for mark in claim.marks}
        for mark, reason in settled.reasons.items():
            self._listener.set_aside(sources[mark], reason)
        for source in settled.changed - self.refused.keys():
            self.refused[source] = _changed(source)
            self._listener.refused(self.refused[source])
        self.outcome.settled += len(settled.done)
        self.outcome.set_aside += len(settled.reasons)
        self.outcome.written += settled.written
        self._listener.progressed(self.outcome)
        return bool(settled.done or settled.reasons)

    @property
    def _sources(self) -> list[str]:
        """The sources whose marks are taken."""
        return [source for source in self._reconciler.sources if source not in self.refused]

    async def _is_empty(self) -> bool:
        """Whether no mark waits that could be taken, claimed by another relay or not."""
        return not (await self._backlog(self._sources)).waiting

    async def backlog(self) -> Backlog:
        """How much waits."""
        return await self._backlog(self._reconciler.sources)

    async def _backlog(self, sources: Sequence[str]) -> Backlog:
        with errors_explained("connect to the source"):
            async with self._sessions.acquire() as connection:
                return await pending.backlog(connection, sources)

    async def look(self) -> None:
        """Tells now and then how much waits."""
        while True:
            with suppress(SourceError):
                self._listener.looked(self.outcome, await self.backlog())
                await self._look_at_timeline()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look_at_timeline(self) -> None:
        """Tells where the source is another server than it was, which may lack what was carried over."""
        with errors_explained("connect to the source"):
            async with self._sessions.acquire() as connection:
                promoted = await timelines.promotion(connection, self._reconciler.sources)
        if promoted is not None and promoted.sources:
            self._listener.warned(promoted.warning)

    async def take_up(self) -> None:
        """Takes up sources again that were refused, when they are what the mapping declares."""
        while not self._until_empty:
            await asyncio.sleep(_TAKE_UP_SECONDS)
            for source in list(self.refused):
                lookups = [each for each in self._lookups.values() if str(each.live.table) == source]
                # As it is now, it is refused still, for the reason that was told.
                with suppress(SourceError, ConfigurationError):
                    self._lookups |= await self._found_again(lookups)
                    self._reconciler = self._new_reconciler()
                    del self.refused[source]
                    self._listener.taken_up(source)

    async def _found_again(self, lookups: Sequence[Lookup]) -> dict[str, Lookup]:
        """How the rows of these entities are found in their tables as they are now."""
        with errors_explained("connect to the source"):
            async with self._sessions.acquire() as connection:
                return {
                    each.entity.name: Lookup(each.entity, await live_table(connection, each.entity)) for each in lookups
                }

    async def bury(self) -> None:
        """Purges tombstones now and then, once no request of before can arrive."""
        while True:
            with suppress(SourceError, TargetError):
                async with self._sessions.acquire() as connection:
                    for table in self._model.tables:
                        self.outcome.purged += await purge(
                            connection, self._client, table, self._limits.times.life, pace=self._pace
                        )
            await asyncio.sleep(_PURGE_SECONDS)


def _changed(source: str) -> ConfigurationError:
    return ConfigurationError(
        f"{source} is another table than it was when the relay began, or has other columns: its changes are not "
        "carried over",
        safe="Its marks wait; other tables are followed.",
        next_step="Bring source and capture in line with the mapping (`migrate status` says where they are not): the "
        "relay takes the table up again. Where the mapping changes, start `migrate relay` again.",
    )
