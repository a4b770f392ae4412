"""What the moves of writes work with, which take several steps: each is on record before the next one begins."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.dynamodb import Client, admin, control, streams
from migrator.engines.sweep import sweep
from migrator.mapping import Inverse, entity_fingerprint
from migrator.phases.evidence import table_of
from migrator.phases.groups import members
from migrator.phases.session import session
from migrator.postgres import catalog, phases, verifications
from migrator.postgres.locks import lock, of_copies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Model, Table
    from migrator.phases.terms import Terms
    from migrator.postgres.connection import Connection
    from migrator.postgres.identifiers import TableName
    from migrator.postgres.phases import Stage, Standing
    from migrator.reconcile import Times


@dataclass(frozen=True)
class Course:
    """One model on its way.

    Attributes:
        model: the model.
        mappings: the module that defines it, for processes of its own.
        stores: where source and target are.
        times: how long requests live; the same for all that write for the model.
        lease: for how many seconds applications go by the phase that they have read; the longest of any.
        terms: which entities, and within which bounds.
        told: called with a sentence before each step, and where something is waited for.
    """

    model: Model
    mappings: str
    stores: Stores
    times: Times
    lease: float
    terms: Terms
    told: Callable[[str], None]

    @property
    def chosen(self) -> tuple[Entity, ...]:
        """The entities that are to move, with those that move together with them."""
        return members(self.model, self.terms.entities)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A session on the source that holds the lock of copies and moves.

        Raises:
            LockedError: a copy runs, or another move.
            ConfigurationError: `prepare` has not been run.
            SourceError: PostgreSQL cannot be reached.
        """
        async with session(self.stores.database_url) as connection, lock(connection, of_copies(self.model.name)):
            yield connection

    async def staying(self, connection: Connection, *stages: Stage) -> tuple[list[Entity], list[Standing]]:
        """Those of the chosen entities that are in one of these stages of `write_target`, and how they stand."""
        at = await phases.standings(connection, self.model.name)
        found = [each for each in self.chosen if each.name in at and at[each.name].stage in stages]
        return found, [at[each.name] for each in found]

    @property
    def lost(self) -> list[str]:
        """The entities that have no way back: who has moved their writes has agreed to that."""
        return [each.name for each in self.model.entities if Inverse(each).lost]

    async def sources(self, connection: Connection, entities: Sequence[Entity]) -> list[str]:
        """The names that marks have for the tables of these entities."""
        return [str((await catalog.require(connection, name)).table) for name in tables_of(entities)]

    async def sweep(self, connection: Connection, table: Table) -> int:
        """Removes the tombstones of a table that have stood for a request's life; returns how many.

        Applications' own are on no record that a relay would purge them by.

        Raises:
            SourceError, TargetError: a store cannot be reached or used.
        """
        now = await verifications.now(connection)
        async with Client(await asyncio.to_thread(self.stores.target)) as client:
            return await sweep(client, table, int(now.timestamp() - self.times.life))

    async def check_streams(self, entities: Sequence[Entity]) -> None:
        """Sees that the way back can be read.

        Raises:
            StreamLostError: a table has no stream that is on.
            TargetError: DynamoDB refused, or cannot be reached.
        """
        await asyncio.to_thread(self._check_streams, list(dict.fromkeys(each.table.name for each in entities)))

    def _check_streams(self, names: Sequence[str]) -> None:
        with closing(control.connect(self.stores.target())) as client:
            for name in names:
                streams.arn_of(client, name)

    async def ttl(self, entities: Sequence[Entity], *, enabled: bool) -> list[Table]:
        """Has TTL turned on or off in the tables in which items of these entities expire; returns those it changed.

        Raises:
            TargetError: DynamoDB refused, or cannot be reached.
        """
        tables = {each.table.name: each.table for each in entities if each.ttl is not None and each.table.ttl}
        if not tables:
            return []
        return await asyncio.to_thread(self._set_ttl, list(tables.values()), enabled)

    def _set_ttl(self, tables: Sequence[Table], enabled: bool) -> list[Table]:  # noqa: FBT001 - passed on
        with closing(control.connect(self.stores.target())) as client:
            return [table for table in tables if admin.set_ttl(client, table, enabled=enabled)]

    async def ttl_statuses(self, entities: Sequence[Entity]) -> dict[str, str]:
        """DynamoDB's word for the TTL of the tables in which items of these entities expire, by table."""
        names = list(dict.fromkeys(each.table.name for each in entities if each.ttl is not None))
        return await asyncio.to_thread(self._ttl_statuses, names)

    def _ttl_statuses(self, names: Sequence[str]) -> dict[str, str]:
        with closing(control.connect(self.stores.target())) as client:
            return {name: admin.describe_ttl(client, name).status for name in names}


def tables_of(entities: Sequence[Entity]) -> list[TableName]:
    """The source tables of entities, each once."""
    return list(dict.fromkeys(map(table_of, entities)))


def names_of(entities: Sequence[Entity]) -> list[str]:
    """The entities' names."""
    return [each.name for each in entities]


def fingerprints_of(entities: Sequence[Entity]) -> dict[str, str]:
    """The fingerprints of the entities' mappings, by entity, as the phase record keeps them."""
    return {each.name: entity_fingerprint(each) for each in entities}
