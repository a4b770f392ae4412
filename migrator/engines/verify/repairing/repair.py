"""A repair: what differs is marked as changed, and reconcile settles the marks. Killed, it leaves them to relays.

Marks that were set aside are tried again before. That a key is found in order ends none: a request that was sent for it
may be late, and stands in the way of nothing until the key is written.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.check import check
from migrator.dynamodb.client import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.stores import live_table
from migrator.engines.together import together
from migrator.engines.verify.findings import MAX_LISTED, Verdict
from migrator.engines.verify.judging.judge import BATCH, Judge
from migrator.engines.verify.masters import masters_of
from migrator.engines.verify.repairing.missed import Differing, Marker
from migrator.engines.verify.repairing.resync import require_followed, whole_tables
from migrator.errors import ConfigurationError, TargetError
from migrator.postgres import missed_marks, pending, state, verifications
from migrator.postgres.connection import connect, pool
from migrator.postgres.errors import errors_explained
from migrator.reconcile import Lookup, Reconciler, Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.engines.verify.suspects import Suspects
    from migrator.mapping import Entity, Model, WireItem
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.missed_marks import MissedMark

_HANDS: Final = 2
_TRIES: Final = 5
_FAILURES: Final = 2
_PAUSE_SECONDS: Final = 0.2
_TRIED_AT_ONCE: Final = 200


@dataclass
class Repaired:
    """What a repair has done.

    Attributes:
        tried: marks that had been set aside and were tried again.
        examined: suspects that were looked at once more.
        marked: keys for which a mark was made, by what was wrong with them.
        settled: marks that the repair has settled itself; relays may have settled others.
        written: items and tombstones written.
        set_aside: marks that cannot be settled, by reason.
        waiting: marks that are left to the relays, since others wrote to their keys all the time.
        alone: keys that no row can own, `alone_keys` the first of them as DynamoDB takes them.
        seconds: how long it took.
    """

    tried: int = 0
    examined: int = 0
    marked: Counter[Verdict] = field(default_factory=Counter)
    settled: int = 0
    written: int = 0
    set_aside: Counter[str] = field(default_factory=Counter)
    waiting: int = 0
    alone: int = 0
    alone_keys: list[tuple[str, WireItem]] = field(default_factory=list)
    seconds: float = 0.0


async def repair(  # noqa: PLR0913 - what a run is made of
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    suspects: Suspects,
    *,
    times: Times,
    max_wcu: float | None = None,
    max_rcu: float | None = None,
    listener: Callable[[Repaired], None] = lambda _: None,
) -> Repaired:
    """Try again what was set aside, and bring suspects in order by reconcile; one in order by now is left as it is.

    Args:
        model: the model.
        entities: those of its entities that were verified.
        stores: the source and the target.
        suspects: what the verification gave.
        times: how long requests live; the same for all that write for the model.
        max_wcu: write units per second to stay within; None: as many as it takes.
        max_rcu: read units per second to stay within where keys are looked at; None: likewise.
        listener: is told what was done so far, after each batch.

    Raises:
        GateError: the phase does not allow it, or no longer does: the marks wait.
        ConfigurationError: the source schema is not what the mapping declares, or is not any more: the marks wait.
        SourceError, TargetError: a store cannot be reached or used. Every mark that is not settled waits.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        control = await connect(stores.database_url, purpose="repair")
        stack.push_async_callback(control.close)
        await state.require(control)
        entities = (await masters_of(control, model, entities)).entities
        await require_followed(control, model, entities)
        lookups = {entity.name: Lookup(entity, await live_table(control, entity)) for entity in entities}
        marker = await Marker.of(control, model, lookups)
        now = int((await verifications.now(control)).timestamp())
        client = await stack.enter_async_context(Client(await asyncio.to_thread(stores.target)))
        sessions = await stack.enter_async_context(pool(stores.database_url, purpose="repair", size=3 * _HANDS))
        judges = {}
        reads = None if max_rcu is None else Pace(max_rcu)
        for table in {entity.table.name: entity.table for entity in entities}.values():
            await check(client, table.name)
            of_table = {name: each for name, each in lookups.items() if each.entity.table.name == table.name}
            judges[table.name] = Judge(
                table, of_table, client, sessions, now, pace=None if reads is None else reads.of_another_table()
            )
        pace = None if max_wcu is None else Pace(max_wcu)
        reconciler = Reconciler(model, lookups, client, times=times, pace=pace)
        run = _Repair(model, entities, judges, marker, reconciler, lookups, sessions, listener)
        await run.try_again([str(lookups[each.name].live.table) for each in whole_tables(model, entities)])
        batches = suspects.batches(BATCH)
        async with together() as group:
            for _ in range(_HANDS):
                group.create_task(run.hand(batches))
    run.done.seconds = time.monotonic() - began
    return run.done


@dataclass(frozen=True)
class _Repair:
    """The hands of one repair, and what they have done."""

    model: Model
    entities: Sequence[Entity]
    judges: Mapping[str, Judge]
    marker: Marker
    reconciler: Reconciler
    lookups: Mapping[str, Lookup]
    sessions: Pool
    listener: Callable[[Repaired], None]
    done: Repaired = field(default_factory=Repaired)

    async def try_again(self, sources: Sequence[str]) -> None:
        """Reconciles what marks of these sources name that were set aside."""
        last = 0
        while True:
            with errors_explained("connect to the source"):
                async with self.sessions.acquire() as connection:
                    ids = await pending.try_again(connection, sources, after=last, limit=_TRIED_AT_ONCE)
            if not ids:
                return
            last = ids[-1]
            await self._settle(ids)
            self.done.tried += len(ids)
            self.listener(self.done)

    async def hand(self, batches: Iterator[tuple[str, list[bytes]]]) -> None:
        """Takes batch after batch until none is left."""
        for table, lines in batches:
            await self._batch(self.judges[table], lines)
            self.done.examined += len(lines)
            self.listener(self.done)

    async def _batch(self, judge: Judge, lines: Sequence[bytes]) -> None:
        """Marks those of these keys that still differ, and settles the marks."""
        found = await judge.judge(lines)
        differing = [
            Differing(judge.key(line), difference)
            for line, difference in found.items()
            if difference.verdict is not Verdict.UNVERIFIABLE
        ]
        with errors_explained("connect to the source"):
            async with self.sessions.acquire() as connection:
                missed = await self.marker.missed(connection, differing)
                ids = [
                    mark
                    for name, marks in missed.marks.items()
                    for mark in await self._make(connection, self.lookups[name], marks)
                ]
        self._leave_alone(missed.alone)
        self.done.marked += Counter(_verdicts(differing)) - Counter(_verdicts(missed.alone))
        if ids:
            await self._settle(ids)

    @staticmethod
    async def _make(connection: Connection, lookup: Lookup, marks: Sequence[MissedMark]) -> list[int]:
        return await missed_marks.make(connection, str(lookup.live.table), marks)

    def _leave_alone(self, alone: Sequence[Differing]) -> None:
        room = MAX_LISTED - len(self.done.alone_keys)
        self.done.alone += len(alone)
        self.done.alone_keys += [(each.difference.table, each.key) for each in alone[:room]]

    async def _settle(self, ids: Sequence[int]) -> None:
        """Reconciles what these marks name. Those that a relay has taken meanwhile are settled by it."""
        waiting = list(ids)
        for attempt in range(_TRIES):
            await asyncio.sleep(attempt * _PAUSE_SECONDS)
            with errors_explained("connect to the source"):
                async with self.sessions.acquire() as holding, self.sessions.acquire() as reading:
                    try:
                        await self._take(holding, reading, waiting)
                    except TargetError:
                        # As a rule the requests took longer than they may live: a new snapshot gives them a new life.
                        if attempt == _FAILURES:
                            raise
                    waiting = await missed_marks.waiting(reading, waiting)
                    if not waiting:
                        return
                    # A phase that has moved leaves all of them, and would leave all that come.
                    await require_followed(reading, self.model, self.entities)
        self.done.waiting += len(waiting)

    async def _take(self, holding: Connection, reading: Connection, ids: Sequence[int]) -> None:
        async with missed_marks.claimed(holding, ids) as claim:
            settled = await self.reconciler.reconcile(reading, claim.marks)
            await claim.settle(settled.done, settled.reasons)
        if settled.changed:
            raise _changed(settled.changed)
        self.done.settled += len(settled.done)
        self.done.written += settled.written
        self.done.set_aside.update(settled.reasons.values())


def _verdicts(differing: Sequence[Differing]) -> Iterator[Verdict]:
    return (each.difference.verdict for each in differing)


def _changed(sources: set[str]) -> ConfigurationError:
    return ConfigurationError(
        f"{', '.join(sorted(sources))} is another table than it was when the repair began, or has other columns",
        safe="What was repaired stays, and the marks of the rest wait for a relay.",
        next_step="Bring source, capture and mapping in line (`migrate status` says where they are not), then run "
        "`migrate verify --repair` again.",
    )
