"""The crew of one process: it opens the stores and copies ranges side by side until none is left."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.batches import BatchWriter
from migrator.dynamodb.client import Client
from migrator.dynamodb.lanes import Layout
from migrator.dynamodb.pacing import Pace
from migrator.engines.copy.progress import Settled, Tally
from migrator.engines.copy.table import TableCopy
from migrator.engines.together import together
from migrator.mapping import entity_fingerprint
from migrator.postgres import catalog, verifications
from migrator.postgres.checkpoints import CopyLog, Counts
from migrator.postgres.connection import pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from migrator.dynamodb.batches import Written
    from migrator.engines.copy.job import Limits
    from migrator.engines.copy.progress import Listener
    from migrator.engines.stores import Stores
    from migrator.mapping import Entity
    from migrator.postgres.checkpoints import Range
    from migrator.postgres.connection import Connection, Pool

_HANDS: Final = 4
"""Ranges that one process copies at once: enough that reading, encoding and writing never wait for each other."""


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


class Crew:
    """Copies ranges of these entities over sessions of its own.

    Args:
        stores: the source and the target.
        entities: by source table.
        limits: the share of the work's limits that falls to this process.
    """

    def __init__(self, stores: Stores, entities: Mapping[str, Entity], limits: Limits) -> None:
        self._stores = stores
        self._entities = entities
        self._limits = limits

    async def run(self, model: str, tasks: list[Task], listener: Listener, counts: dict[str, Counts]) -> Tally:
        """Copies all of the tasks, adding to `counts` what is settled."""
        waiting = iter(tasks)

        async def take() -> Task | None:
            return next(waiting, None)

        def settled(page: Settled) -> None:
            counts[page.source] = counts.get(page.source, Counts()) + page.counts
            listener.settled(page)

        return await self.work(model, take, settled)

    async def work(
        self, model: str, take: Callable[[], Awaitable[Task | None]], settled: Callable[[Settled], None]
    ) -> Tally:
        """Copies what `take` hands out until it hands out nothing; returns what was sent."""
        tally = Tally()

        def account(page: Settled, written: Written) -> None:
            tally.requests += written.requests
            tally.consumed += written.consumed
            tally.unprocessed += written.unprocessed_retries
            settled(page)

        async with self.open(model) as opened:

            async def hand() -> None:
                while (task := await take()) is not None:
                    await opened.tables[task.source].copy_range(task.at, account)

            async with together() as group:
                for _ in range(_HANDS):
                    group.create_task(hand())
            tally.retries = dict(opened.client.counts.retries)
        return tally

    @asynccontextmanager
    async def open(self, model: str) -> AsyncIterator[Opened]:
        """Opens the stores."""
        session = await asyncio.to_thread(self._stores.target)
        async with (
            pool(self._stores.database_url, purpose="copy", size=_HANDS + 1) as sessions,
            Client(session) as client,
        ):
            with errors_explained("connect to the source"):
                async with sessions.acquire() as connection:
                    moment = await verifications.now(connection)
                    offset = int(moment.timestamp()) - time.monotonic()
                    writers = self._writers(client)
                    tables = {
                        source: await self._table(
                            model, entity, connection, sessions, writers[entity.table.name], offset
                        )
                        for source, entity in self._entities.items()
                    }
            yield Opened(tables, client)

    def _writers(self, client: Client) -> dict[str, BatchWriter]:
        """One writer for each target table: what a table takes is found once, for all entities that share it."""
        allowed = Pace(self._limits.max_wcu)
        by_table: dict[str, list[Entity]] = defaultdict(list)
        for entity in self._entities.values():
            by_table[entity.table.name].append(entity)
        return {
            name: BatchWriter(
                client,
                name,
                pace=allowed.of_another_table(),
                index_share=sum(map(_index_share, entities)) / len(entities),
                layout=Layout.of(entities[0].table),
            )
            for name, entities in by_table.items()
        }

    async def _table(
        self,
        model: str,
        entity: Entity,
        connection: Connection,
        sessions: Pool,
        writer: BatchWriter,
        offset: float,
    ) -> TableCopy:
        live = await catalog.require(connection, TableName(entity.source.name, entity.source.schema))
        log = CopyLog(
            sessions,
            model,
            live.table,
            mapping_fingerprint=entity_fingerprint(entity),
            schema_fingerprint=catalog.schema_fingerprint(live, entity.plan.columns),
        )
        await log.load()
        return TableCopy(
            entity,
            RowSource(live, entity.projection),
            log=log,
            pool=sessions,
            writer=writer,
            now=lambda: int(time.monotonic() + offset),
            request_seconds=self._limits.request_seconds,
        )


def _index_share(entity: Entity) -> float:
    """Index entries that an item has on average, at most: each is written as the item is."""
    items = entity.plan.items
    return sum(len(item.indexes) for item in items) / len(items)
