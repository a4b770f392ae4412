"""A verification from beginning to end."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from migrator.dynamodb.check import check
from migrator.dynamodb.client import Client
from migrator.engines.models import NamedModel
from migrator.engines.processes import Loss, share_out
from migrator.engines.ranges import HANDS, parts, segments
from migrator.engines.stores import live_table
from migrator.engines.verify.crew import Crew, KeyRange, Read, Segment
from migrator.engines.verify.expected import SEVERAL_ROWS
from migrator.engines.verify.findings import Difference, Report, Verdict
from migrator.engines.verify.judge import BATCH, Judge, Looked
from migrator.engines.verify.patterns import QUESTIONS, Asking, ask_all
from migrator.engines.verify.record import Record
from migrator.engines.verify.resync import unfollowed
from migrator.engines.verify.spill import Spill
from migrator.mapping import claims
from migrator.postgres import catalog, state
from migrator.postgres.connection import connect, pool
from migrator.reconcile import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.engines.verify.spill import Mismatch
    from migrator.engines.verify.suspects import Suspects
    from migrator.mapping import Entity, Model, Table
    from migrator.postgres.connection import Connection

_SESSIONS: Final = 2
MAX_JUDGED: Final = 10_000
"""Suspects that are judged one by one; where there are more, something is wrong as a whole."""
_LOSS: Final = Loss(
    safe="Nothing was changed in either store; the temporary files are removed.",
    next_step="Run the command again. If the system killed it, see how much memory it has.",
)


@dataclass(frozen=True)
class Scope:
    """How a verification reads: read units per second (None: as many as the table gives), and in how many processes.

    `patterns`: with how many sets of values each access pattern is asked; None: with all that rows have.
    """

    max_rcu: float | None = None
    workers: int = 1
    patterns: int | None = QUESTIONS


async def verify(  # noqa: PLR0913 - what a run is made of
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    mappings: str,
    scope: Scope,
    suspects: Suspects | None = None,
    listener: Callable[[Read], None] = lambda _: None,
) -> Report:
    """Compares the items of these entities with their rows, both ways, and records the result.

    Args:
        model: the model.
        entities: those of its entities to verify.
        stores: the source and the target.
        mappings: the module that defines the model, for worker processes to import.
        scope: how to read.
        suspects: is given the keys that differ, or may do so: those that a repair could put right, however many.
        listener: is told how many rows and items are read.

    Raises:
        ConfigurationError: the source schema is not what the mapping declares, or `prepare` has not been run.
        SourceError, TargetError: a store cannot be reached or used.
        MigratorError: the temporary files cannot be written, or a worker was killed.
    """
    began = time.monotonic()
    report = Report()
    async with AsyncExitStack() as stack:
        control = await connect(stores.database_url, purpose="verify")
        stack.push_async_callback(control.close)
        await state.require(control)
        record = Record(model, entities, report, stores.database_url)
        started = (await stack.enter_async_context(record.kept(control))).started_at
        parties = [await _party(control, model, table, entities) for table in _tables(entities)]
        report.followed = not await unfollowed(control, model, entities)
        client = await stack.enter_async_context(Client(await asyncio.to_thread(stores.target)))
        for party in parties:
            await check(client, party.table.name)
            stack.enter_context(party.spill)
        run = _Run(NamedModel(mappings, model), stores, scope, parties, int(started.timestamp()), report)
        await run.read(control, listener)
        sessions = await stack.enter_async_context(pool(stores.database_url, purpose="verify", size=_SESSIONS))
        for party in parties:
            report.spilled += party.spill.bytes_on_disk
        for party in parties:
            await party.judge(Judge(party.table, party.lookups, client, sessions, run.now), report, suspects)
        lookups = {name: lookup for party in parties for name, lookup in party.lookups.items()}
        asking = Asking(scope.patterns, run.now, str(started), report.followed, scope.max_rcu)
        await ask_all(model.patterns, lookups, client, sessions, asking, report)
        report.seconds = time.monotonic() - began
    return report


@dataclass(frozen=True)
class _Run:
    """One verification of these tables."""

    model: NamedModel
    stores: Stores
    scope: Scope
    parties: Sequence[_Party]
    now: int
    report: Report

    async def read(self, control: Connection, listener: Callable[[Read], None]) -> None:
        """Reads both sides at once, and spills what they say."""
        tasks = [*await self._ranges(control), *self._segments()]
        processes = max(1, min(self.scope.workers, len(tasks)))
        crew = Crew(
            self.stores,
            self.model,
            [lookup.entity.source_name for party in self.parties for lookup in party.lookups.values()],
            {party.table.name: party.spill.partitions for party in self.parties},
            None if self.scope.max_rcu is None else self.scope.max_rcu / processes,
            self.now,
        )
        read = Read(0, 0)

        def told(more: Read) -> None:
            nonlocal read
            read += more
            listener(read)

        for report in await share_out(crew, processes, tasks, told, _LOSS):
            self.report.add(report)

    async def _ranges(self, control: Connection) -> list[KeyRange]:
        """The ranges of all source tables, long ones first: the last ones decide how far apart the workers end."""
        tables = [(party.rows[name], each) for party in self.parties for name, each in party.lookups.items()]
        tables.sort(key=lambda table: -table[0])
        total = sum(rows for rows, _ in tables)
        ranges: list[KeyRange] = []
        for rows, lookup in tables:
            ends = await lookup.source.split(control, parts(rows, total, self.scope.workers))
            ranges += [
                KeyRange(lookup.entity.source_name, after, until)
                for after, until in zip([None, *ends], [*ends, None], strict=True)
            ]
        return ranges

    def _segments(self) -> Iterator[Segment]:
        """The segments of all target tables; those that follow each other are of different partitions of the table."""
        for party in self.parties:
            total = segments(party.items, self.scope.workers)
            step = total // min(total, HANDS * self.scope.workers)
            for first in range(step):
                for number in range(first, total, step):
                    yield Segment(party.table.name, number, total)


@dataclass(frozen=True)
class _Party:
    """One target table, the entities in it that are verified, and about how many rows and items there are.

    `every` are all entities whose items stand in the table.
    """

    table: Table
    lookups: Mapping[str, Lookup]
    every: Sequence[Entity]
    rows: Mapping[str, int]
    items: int
    spill: Spill

    async def judge(self, judge: Judge, report: Report, differing: Suspects | None) -> None:
        """Joins both sides, and judges what does not match; `differing` is given what differs or was not judged."""
        suspects: list[bytes] = []
        looked = Looked()
        judged = 0
        for mismatch in self.spill.mismatches():
            if not self._concerns(mismatch, report):
                continue
            report.suspects += 1
            if len(mismatch.source) > 1:
                report.found(self._collision(mismatch))
            elif judged + len(suspects) >= MAX_JUDGED:
                report.unjudged += 1
                if differing is not None:
                    differing.add(self.table.name, mismatch.key)
            else:
                suspects.append(mismatch.key)
            if len(suspects) == BATCH:
                looked.add(await judge.look(suspects))
                judged += len(suspects)
                suspects.clear()
        looked.add(await judge.look(suspects))
        settled = await judge.settle(looked, followed=report.followed)
        for difference in settled.found.values():
            report.found(difference)
        report.moving += settled.moving.values()
        report.read_units += judge.units
        for key, difference in (settled.found | settled.moving).items():
            if differing is not None and difference.verdict is not Verdict.UNVERIFIABLE:
                differing.add(self.table.name, key)

    def _concerns(self, mismatch: Mismatch, report: Report) -> bool:
        """Whether a key is of the entities that are verified: not of another one in the table, nor declared foreign."""
        if mismatch.source:
            return True
        key = self._key(mismatch)
        if self.table.is_foreign(key):
            report.foreign += 1
            return False
        owners = {claim.entity.name for claim in claims(self.every, key)}
        return len(self.lookups) == len(self.every) or bool(owners & self.lookups.keys())

    def _key(self, mismatch: Mismatch) -> dict[str, dict[str, str]]:
        names = [key.name for key in self.table.key_attributes]
        return dict(zip(names, orjson.loads(mismatch.key), strict=True))

    def _collision(self, mismatch: Mismatch) -> Difference:
        key = {name: next(iter(value.values())) for name, value in self._key(mismatch).items()}
        return Difference(Verdict.UNVERIFIABLE, self.table.name, key, reason=SEVERAL_ROWS)


def _tables(entities: Sequence[Entity]) -> list[Table]:
    return list({entity.table.name: entity.table for entity in entities}.values())


async def _party(control: Connection, model: Model, table: Table, entities: Sequence[Entity]) -> _Party:
    mine = [entity for entity in entities if entity.table.name == table.name]
    lookups = {entity.name: Lookup(entity, await live_table(control, entity)) for entity in mine}
    rows = {name: await catalog.estimated_rows(control, lookup.live) for name, lookup in lookups.items()}
    items = sum(rows[entity.name] * len(entity.plan.items) for entity in mine)
    return _Party(table, lookups, model.of_table(table), rows, items, Spill(items))
