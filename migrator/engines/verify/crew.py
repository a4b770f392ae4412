"""The crew of one process: it opens the stores and reads both sides, in parts, until none is left."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.client import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.collector import seldom_collected
from migrator.engines.ranges import HANDS
from migrator.engines.together import together
from migrator.engines.verify.findings import Report
from migrator.engines.verify.passes import SourcePass, TargetPass
from migrator.engines.verify.spill import Spiller
from migrator.postgres import catalog
from migrator.postgres.connection import pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from migrator.engines.models import NamedModel
    from migrator.engines.processes import Foreman
    from migrator.engines.stores import Stores
    from migrator.engines.verify.spill import Partitions
    from migrator.mapping import Entity
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.rows import Key

_SECONDS_BETWEEN: Final = 0.2


@dataclass(frozen=True)
class KeyRange:
    """Rows of a source table to read: those whose keys are in (`after`, `until`], None being no bound."""

    source: str
    after: Key | None
    until: Key | None


@dataclass(frozen=True)
class Segment:
    """A part of a target table to scan."""

    table: str
    number: int
    total: int


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
    """

    stores: Stores
    model: NamedModel
    sources: Sequence[str]
    spills: Mapping[str, Partitions]
    max_rcu: float | None
    now: int

    async def __call__(self, foreman: Foreman[Read]) -> Report:
        """Reads what the foreman hands out until that is nothing, and tells how far it is."""
        report = Report()
        async with self._open(report) as opened:
            with seldom_collected():
                async with together() as group:
                    telling = group.create_task(_tell(report, foreman))
                    hands = [group.create_task(opened.read(foreman)) for _ in range(HANDS)]
                    hands += [group.create_task(opened.scan(foreman)) for _ in range(HANDS)]
                    await asyncio.wait(hands, return_when=asyncio.FIRST_EXCEPTION)
                    telling.cancel()
            for spiller in opened.spillers:
                spiller.flush()
        return report

    @asynccontextmanager
    async def _open(self, report: Report) -> AsyncIterator[_Opened]:
        session = await asyncio.to_thread(self.stores.target)
        spillers = {name: Spiller(to, share=1 / len(self.spills)) for name, to in self.spills.items()}
        model, allowed = self.model.model, Pace(self.max_rcu)
        async with (
            pool(self.stores.database_url, purpose="verify", size=HANDS) as sessions,
            Client(session) as client,
        ):
            with errors_explained("connect to the source"):
                async with sessions.acquire() as connection:
                    sources = {
                        entity.source_name: SourcePass(
                            entity, await _rows(connection, entity), report, spillers[entity.table.name], self.now
                        )
                        for entity in model.entities
                        if entity.source_name in self.sources
                    }
            targets = {
                table.name: TargetPass(table, model.of_table(table), report, spillers[table.name], self.now)
                for table in model.tables
                if table.name in self.spills
            }
            paces = {name: allowed.of_another_table() for name in targets}
            yield _Opened(client, sessions, sources, targets, paces, list(spillers.values()))


@dataclass(frozen=True)
class _Opened:
    """The passes over open stores."""

    client: Client
    sessions: Pool
    sources: Mapping[str, SourcePass]
    targets: Mapping[str, TargetPass]
    paces: Mapping[str, Pace]
    spillers: Sequence[Spiller]

    async def read(self, foreman: Foreman[Read]) -> None:
        """Reads ranges of the source."""
        while (task := await foreman.take(KeyRange)) is not None:
            await self.sources[task.source].range(self.sessions, task.after, task.until)

    async def scan(self, foreman: Foreman[Read]) -> None:
        """Scans segments of the target."""
        while (task := await foreman.take(Segment)) is not None:
            await self.targets[task.table].segment(self.client, self.paces[task.table], task.number, task.total)


async def _rows(connection: Connection, entity: Entity) -> RowSource:
    live = await catalog.require(connection, TableName(entity.source.name, entity.source.schema))
    return RowSource(live, entity.projection)


async def _tell(report: Report, foreman: Foreman[Read]) -> None:
    """Tells now and then what was read since the last time."""
    told = Read(0, 0)
    while True:
        read = Read(sum(report.rows.values()), report.items_scanned)
        foreman.tell(read - told)
        told = read
        await asyncio.sleep(_SECONDS_BETWEEN)
