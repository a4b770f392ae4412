"""The crew of one process: it opens the stores and reads both sides, in parts, until none is left."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.client import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.collector import seldom_collected
from migrator.engines.ranges import HANDS
from migrator.engines.together import together
from migrator.engines.verify.findings import Report
from migrator.engines.verify.reading.keyed import KeyedPass, OwnedPass
from migrator.engines.verify.reading.passes import SourcePass, TargetPass
from migrator.engines.verify.reading.progress import Progress
from migrator.engines.verify.reading.spill import Spiller
from migrator.engines.verify.reading.tasks import KeyRange, Segment
from migrator.mapping import ItemWitness
from migrator.postgres import catalog
from migrator.postgres.connection import pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource
from migrator.reconcile import Lookup

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from migrator.engines.models import NamedModel
    from migrator.engines.processes import Foreman
    from migrator.engines.stores import Stores
    from migrator.engines.verify.reading.progress import Keep
    from migrator.engines.verify.reading.spill import Partitions
    from migrator.mapping import Entity, Model, Table
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection, Pool

_SECONDS_BETWEEN: Final = 0.2


@dataclass(frozen=True)
class Read:
    """How many rows and items were read."""

    rows: int
    items: int

    def __add__(self, other: Read) -> Read:
        return Read(self.rows + other.rows, self.items + other.items)

    def __sub__(self, other: Read) -> Read:
        return Read(self.rows - other.rows, self.items - other.items)


@dataclass(frozen=True)
class Crew:
    """Reads ranges and segments over sessions of its own, and spills what they say.

    Args:
        stores: the source and the target.
        model: the model.
        sources: those of its source tables that are verified.
        spills: where the lines of each target table go, by its name.
        max_rcu: the share of the read units per second that falls to this process; None for no limit.
        now: the time in Unix seconds, by PostgreSQL's clock.
        keep: where it is kept how far the process is; None: nowhere.
        only: by source, the condition on the rows to look at, with their items; None: all rows and all items.
    """

    stores: Stores
    model: NamedModel
    sources: Sequence[str]
    spills: Mapping[str, Partitions]
    max_rcu: float | None
    now: int
    keep: Keep | None = None
    only: Mapping[str, str] | None = None

    async def __call__(self, foreman: Foreman[Read]) -> Report:
        """Reads what the foreman hands out until that is nothing, and tells how far it is."""
        report = Report()
        async with self._open(report) as opened:
            with seldom_collected():
                async with together() as group:
                    telling = group.create_task(_tell(report, foreman, opened.progress))
                    hands = [group.create_task(opened.read(foreman)) for _ in range(HANDS)]
                    hands += [group.create_task(opened.scan(foreman)) for _ in range(HANDS)]
                    await asyncio.wait(hands, return_when=asyncio.FIRST_EXCEPTION)
                    telling.cancel()
            opened.progress.save()
        return report

    @asynccontextmanager
    async def _open(self, report: Report) -> AsyncIterator[_Opened]:
        session = await asyncio.to_thread(self.stores.target)
        keep, share = self.keep, 1 / len(self.spills)
        label = None if keep is None else keep.label
        spillers = {name: Spiller(to, share, label) for name, to in self.spills.items()}
        model, allowed = self.model.model, Pace(self.max_rcu)
        async with (
            pool(self.stores.database_url, purpose="verify", size=HANDS) as sessions,
            Client(session) as client,
        ):
            paces = {name: allowed.of_another_table() for name in spillers}
            with errors_explained("connect to the source"):
                async with sessions.acquire() as connection:
                    lookups = [
                        Lookup(entity, await _live(connection, entity))
                        for entity in model.entities
                        if entity.source_name in self.sources
                    ]
            sides = _Sides(model, lookups, report, spillers, self.now, client, sessions, paces)
            sources, targets = sides.whole() if self.only is None else sides.narrowed(self.only)
            progress = Progress(None if keep is None else keep.file, report, spillers)
            yield _Opened(client, sessions, sources, targets, paces, progress)


@dataclass(frozen=True)
class _Opened:
    """The passes over open stores."""

    client: Client
    sessions: Pool
    sources: Mapping[str, SourcePass]
    targets: Mapping[str, TargetPass] | Mapping[str, OwnedPass]
    paces: Mapping[str, Pace]
    progress: Progress

    async def read(self, foreman: Foreman[Read]) -> None:
        """Reads ranges of the source."""
        while (task := await foreman.take(KeyRange)) is not None:
            moved = partial(self.progress.moved, task.number)
            await self.sources[task.source].range(self.sessions, task.after, task.until, moved)
            self.progress.finished(task.number)

    async def scan(self, foreman: Foreman[Read]) -> None:
        """Scans segments of the target."""
        while (task := await foreman.take(Segment)) is not None:
            moved = partial(self.progress.moved, task.task)
            await self.targets[task.table].segment(self.client, self.paces[task.table], task, moved)
            self.progress.finished(task.task)


@dataclass(frozen=True)
class _Sides:
    """What the passes are made of."""

    model: Model
    lookups: Sequence[Lookup]
    report: Report
    spillers: Mapping[str, Spiller]
    now: int
    client: Client
    sessions: Pool
    paces: Mapping[str, Pace]

    def whole(self) -> tuple[dict[str, SourcePass], dict[str, TargetPass]]:
        """The passes over all rows and all items."""
        sources = {
            each.entity.source_name: SourcePass(
                each.entity, each.source, self.report, self.spillers[each.entity.table.name], self.now
            )
            for each in self.lookups
        }
        targets = {
            name: TargetPass(self._table(name), self._entities(name), self.report, spiller, self.now)
            for name, spiller in self.spillers.items()
        }
        return sources, targets

    def narrowed(self, only: Mapping[str, str]) -> tuple[dict[str, KeyedPass], dict[str, OwnedPass]]:
        """The passes over rows that meet conditions, with their items, and over items, with their rows."""
        witnesses = {name: ItemWitness(self._table(name), self._entities(name)) for name in self.spillers}
        sources: dict[str, KeyedPass] = {}
        for each in self.lookups:
            name = each.entity.table.name
            source = RowSource(each.live, each.entity.projection, only.get(each.entity.source_name))
            sources[each.entity.source_name] = KeyedPass(
                each.entity,
                source,
                self.report,
                self.spillers[name],
                self.now,
                items=witnesses[name],
                client=self.client,
                pace=self.paces[name],
            )
        targets = {
            name: OwnedPass(
                self._table(name),
                self._entities(name),
                [each for each in self.lookups if each.entity.table.name == name],
                self.report,
                spiller,
                now=self.now,
                pool=self.sessions,
            )
            for name, spiller in self.spillers.items()
        }
        return sources, targets

    def _table(self, name: str) -> Table:
        return next(table for table in self.model.tables if table.name == name)

    def _entities(self, name: str) -> Sequence[Entity]:
        return self.model.of_table(self._table(name))


async def _live(connection: Connection, entity: Entity) -> LiveTable:
    return await catalog.require(connection, TableName(entity.source.name, entity.source.schema))


async def _tell(report: Report, foreman: Foreman[Read], progress: Progress) -> None:
    """Tells now and then what was read since the last time, and keeps how far it is."""
    told = Read(0, 0)
    while True:
        read = Read(sum(report.rows.values()), report.items_scanned)
        foreman.tell(read - told)
        told = read
        progress.save_if_due()
        await asyncio.sleep(_SECONDS_BETWEEN)
