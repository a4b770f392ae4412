"""The crew of one process: it opens the stores and copies ranges side by side until none is left."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.batches import BatchWriter
from migrator.dynamodb.client import Client
from migrator.dynamodb.inserts import InsertWriter
from migrator.dynamodb.lanes import Layout
from migrator.dynamodb.pacing import Pace
from migrator.engines.collector import seldom_collected
from migrator.engines.copy.brake import Brake
from migrator.engines.copy.path import path_of
from migrator.engines.copy.progress import Settled, Tally
from migrator.engines.copy.table import TableCopy
from migrator.engines.together import together
from migrator.mapping import entity_fingerprint
from migrator.postgres import catalog, phases, verifications
from migrator.postgres.checkpoints import CopyLog
from migrator.postgres.connection import pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.postgres.phases import Standing
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from migrator.dynamodb.batches import Written
    from migrator.engines.copy.brake import Held
    from migrator.engines.copy.job import Limits
    from migrator.engines.copy.path import Path
    from migrator.engines.models import NamedModel
    from migrator.engines.processes import Foreman
    from migrator.engines.stores import Stores
    from migrator.mapping import Entity
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.checkpoints import Range
    from migrator.postgres.connection import Pool


_HANDS: Final = 2
"""Ranges that one process copies at once, each with a page being read and others being written: more of them would only
drive each other's rows out of the processor's cache."""


@dataclass(frozen=True)
class Task:
    """A range of a source table to copy."""

    source: str
    at: Range


@dataclass
class Opened:
    """The tables that a crew can copy, over open stores."""

    tables: Mapping[str, TableCopy]
    client: Client
    sessions: Pool
    brake: Brake

    async def watch(self, held: Callable[[Held], None]) -> None:
        """Holds copies beside relays back, where more changes wait than may. Otherwise nothing would end their wait."""
        if any(table.log.phase != "prepare" for table in self.tables.values()):
            await self.brake.watch(self.sessions, held)


class Crew:
    """Copies ranges of these tables over sessions of its own.

    Args:
        stores: the source and the target.
        model: the model.
        sources: those of its source tables that are copied.
        limits: of the work; those of write units hold for this crew.
    """

    def __init__(self, stores: Stores, model: NamedModel, sources: Sequence[str], limits: Limits) -> None:
        self._stores = stores
        self._model = model
        self._sources = sources
        self._limits = limits

    def one_of(self, crews: int) -> Crew:
        """One of so many crews, among which the limits are divided."""
        share = None if self._limits.max_wcu is None else self._limits.max_wcu / crews
        return Crew(self._stores, self._model, self._sources, replace(self._limits, max_wcu=share))

    async def __call__(self, foreman: Foreman[Settled | Held]) -> Tally:
        """Copies what the foreman hands out until that is nothing; returns what was sent."""
        tally = Tally()

        def account(page: Settled, written: Written) -> None:
            tally.requests += written.requests
            tally.present += written.present
            tally.consumed += written.consumed
            tally.unprocessed += written.unprocessed_retries
            foreman.tell(page)

        async with self.open() as opened:

            async def hand() -> None:
                while (task := await foreman.take(Task)) is not None:
                    await opened.tables[task.source].copy_range(task.at, account)

            with seldom_collected():
                async with together() as group:
                    watching = group.create_task(opened.watch(foreman.tell))
                    hands = [group.create_task(hand()) for _ in range(_HANDS)]
                    await asyncio.wait(hands, return_when=asyncio.FIRST_EXCEPTION)
                    watching.cancel()
            tally.retries = dict(opened.client.counts.retries)
        return tally

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Opened]:
        """Opens the stores."""
        session = await asyncio.to_thread(self._stores.target)
        model = self._model.model
        entities = [entity for entity in model.entities if entity.source_name in self._sources]
        async with (
            pool(self._stores.database_url, purpose="copy", size=_HANDS + 2) as sessions,
            Client(session) as client,
        ):
            with errors_explained("connect to the source"):
                async with sessions.acquire() as connection:
                    moment = await verifications.now(connection)
                    offset = int(moment.timestamp()) - time.monotonic()
                    standings = await phases.standings(connection, model.name)
                    writers = self._writers(client, entities, standings)
                    tables, brake = {}, Brake(self._limits.marks_bytes)
                    for entity in entities:
                        live = await catalog.require(connection, TableName(entity.source.name, entity.source.schema))
                        log = log_of(sessions, model.name, entity, live, standings)
                        await log.load()
                        tables[entity.source_name] = TableCopy(
                            entity,
                            RowSource(live, entity.projection),
                            log=log,
                            pool=sessions,
                            writer=writers[entity.name],
                            now=lambda: int(time.monotonic() + offset),
                            request_seconds=self._limits.times.page,
                            brake=brake,
                        )
            yield Opened(tables, client, sessions, brake)

    def _writers(
        self, client: Client, entities: Sequence[Entity], standings: Mapping[str, Standing]
    ) -> dict[str, BatchWriter]:
        """The writer of each entity: one for each target table, so that what the table takes is found once."""
        allowed = Pace(self._limits.max_wcu)
        by_table: dict[str, list[Entity]] = defaultdict(list)
        for entity in entities:
            by_table[entity.table.name].append(entity)
        writers: dict[str, BatchWriter] = {}
        for name, each in by_table.items():
            pace, layout = allowed.of_another_table(), Layout.of(each[0].table)
            share = sum(map(_index_share, each)) / len(each)
            by_path: dict[Path, BatchWriter] = {
                "turbo": BatchWriter(client, name, pace=pace, index_share=share, layout=layout),
                "live": InsertWriter(client, name, pace=pace, index_share=share, layout=layout),
            }
            writers |= {entity.name: by_path[path_of(entity, standings)] for entity in each}
        return writers


def log_of(sessions: Pool, model: str, entity: Entity, live: LiveTable, standings: Mapping[str, Standing]) -> CopyLog:
    """The checkpoint of an entity's table, for a copy in the entity's phase."""
    return CopyLog(
        sessions,
        model,
        live.table,
        entity=entity.name,
        phase=standings.get(entity.name, Standing()).phase,
        mapping_fingerprint=entity_fingerprint(entity),
        schema_fingerprint=catalog.schema_fingerprint(live, entity.plan.columns),
    )


def _index_share(entity: Entity) -> float:
    """Index entries that an item has on average, at most: each is written as the item is."""
    items = entity.plan.items
    return sum(len(item.indexes) for item in items) / len(items)
