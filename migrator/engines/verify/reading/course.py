"""The reading of a verification: cut into tasks, shared out to processes, and gone on with where one was killed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migrator.engines.processes import Loss, share_out
from migrator.engines.ranges import HANDS, parts, segments
from migrator.engines.verify.narrow import conditions, segments_of
from migrator.engines.verify.reading.crew import Crew, Read
from migrator.engines.verify.reading.spill import Spill, partitions_for
from migrator.engines.verify.reading.tasks import KeyRange, Segment
from migrator.engines.verify.reading.workplace import Left, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AsyncExitStack
    from datetime import datetime

    from migrator.engines.models import NamedModel
    from migrator.engines.stores import Stores
    from migrator.engines.verify.findings import Report
    from migrator.engines.verify.narrow import Narrow
    from migrator.engines.verify.party import Party
    from migrator.engines.verify.reading.workplace import Workplace
    from migrator.engines.verify.scope import Scope
    from migrator.postgres.connection import Connection


@dataclass(frozen=True)
class Reading:
    """The reading of these tables. `place` is where it is kept how far it is; None: nowhere."""

    model: NamedModel
    stores: Stores
    scope: Scope
    parties: Sequence[Party]
    place: Workplace | None
    narrow: Narrow

    async def plan(self, control: Connection, basis: Mapping[str, str], started: datetime) -> Plan:
        """Cuts the reading into tasks.

        Raises:
            SourceError: PostgreSQL cannot be reached, or a table cannot be read.
            MigratorError: the plan cannot be kept.
        """
        tasks: list[KeyRange | Segment] = [*await self._ranges(control), *self._segments(started)]
        numbered = [
            replace(task, number=place) if isinstance(task, KeyRange) else replace(task, task=place)
            for place, task in enumerate(tasks)
        ]
        counts = {party.table.name: partitions_for(party.items) for party in self.parties}
        plan = Plan(basis, started, counts, numbered)
        if self.place is not None:
            self.place.begin(plan)
        return plan

    async def read(
        self, plan: Plan, stack: AsyncExitStack, report: Report, listener: Callable[[Read], None]
    ) -> dict[str, Spill]:
        """Reads both sides at once, as far as no run before has; returns what they say, by table, until `stack` ends.

        Raises:
            LockedError: what earlier runs have read is not all there.
            SourceError, TargetError: a store cannot be reached or used.
            MigratorError: a worker was killed, or the files cannot be written.
        """
        left = Left(list(plan.tasks)) if self.place is None else self.place.left(plan)
        report.add(left.report)
        spills = {name: stack.enter_context(self._spill(plan, name)) for name in plan.partitions}
        if not left.tasks:
            return spills
        processes = max(1, min(self.scope.workers, len(left.tasks)))
        crew = Crew(
            self.stores,
            self.model,
            [lookup.entity.source_name for party in self.parties for lookup in party.lookups.values()],
            {name: spill.partitions for name, spill in spills.items()},
            None if self.scope.max_rcu is None else self.scope.max_rcu / processes,
            int(plan.started_at.timestamp()),
            left.keep,
            self._conditions(plan),
        )
        read = Read(sum(report.rows.values()), report.items_scanned)

        def told(more: Read) -> None:
            nonlocal read
            read += more
            listener(read)

        for each in await share_out(crew, processes, left.tasks, told, self._loss):
            report.add(each)
        return spills

    def _conditions(self, plan: Plan) -> dict[str, str] | None:
        lookups = [lookup for party in self.parties for lookup in party.lookups.values()]
        return conditions(self.narrow, lookups, plan.started_at) if self.narrow.asked else None

    def _spill(self, plan: Plan, table: str) -> Spill:
        if self.place is not None:
            return Spill(0, kept=self.place.partitions(plan, table))
        (items,) = (party.items for party in self.parties if party.table.name == table)
        return Spill(items)

    @property
    def _loss(self) -> Loss:
        again = "Run the command again" if self.place is None else "Run the command again: it goes on where it was"
        return Loss(
            safe="Nothing was changed in either store"
            + ("; the temporary files are removed." if self.place is None else "; what was read is kept."),
            next_step=f"{again}. If the system killed it, see how much memory it has.",
        )

    async def _ranges(self, control: Connection) -> list[KeyRange]:
        """The ranges of all source tables, long ones first: the last ones decide how far apart the workers end."""
        if self.narrow.key_range is not None:
            ((lookup,),) = (party.lookups.values() for party in self.parties)
            return [KeyRange(lookup.entity.source_name, self.narrow.after, self.narrow.until)]
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

    def _segments(self, started: datetime) -> Iterator[Segment]:
        """The segments of all target tables; those that follow each other are of different partitions of the table.

        Of a sample, some of them, others each time; of another part of the rows, none.
        """
        for party in self.parties:
            total = segments(party.items, self.scope.workers)
            if self.narrow.asked:
                if self.narrow.sample is not None:
                    count, total = segments_of(self.narrow.sample, total)
                    first = int(started.timestamp()) % total
                    yield from (Segment(party.table.name, (first + each) % total, total) for each in range(count))
                continue
            step = total // min(total, HANDS * self.scope.workers)
            for first in range(step):
                for number in range(first, total, step):
                    yield Segment(party.table.name, number, total)
