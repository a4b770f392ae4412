"""Changes of DynamoDB carried back to PostgreSQL: from the streams of the tables, or of keys that somebody names."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from migrator.dynamodb import Client, check, control
from migrator.engines.reverse.applier import Applier, alone
from migrator.engines.reverse.course import Course
from migrator.engines.reverse.landing import Landing
from migrator.engines.reverse.outcome import Limits, Listener, Outcome
from migrator.engines.reverse.way import Way
from migrator.engines.stores import live_table
from migrator.engines.together import together
from migrator.errors import GateError
from migrator.postgres import carried, fence, phases, state, streams
from migrator.postgres.connection import session
from migrator.reconcile.lookup import Lookup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Model, Table
    from migrator.postgres.connection import Connection
    from migrator.postgres.identifiers import TableName
    from migrator.postgres.streams import Backlog
    from migrator.reconcile.item_key import ItemKey

_LOOK_SECONDS: Final = 2.0
_PATIENCE_SECONDS: Final = 30.0
"""With which the target is asked: PostgreSQL ends a transaction that waits for longer than a minute."""


async def carry_back(  # noqa: PLR0913 - what a run is made of
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    limits: Limits,
    until_drained: bool,
    stop: asyncio.Event,
    listener: Listener,
    lost: Sequence[str] = (),
) -> Outcome:
    """Follows the streams of these entities' tables, and makes rows what their items say.

    A stream is carried back whole: of a table, all entities are that are carried back by the record, named or not. Any
    number may run at once; they take turns. It ends when `stop` is set, when none of the entities is carried back any
    more, or, with `until_drained`, when each stream was read to its present end and nothing is left that the source
    would take. A store that goes away later is waited for, unless `until_drained`.

    Args:
        model: the model.
        entities: those whose tables are followed.
        stores: where source and target are.
        limits: the bounds.
        until_drained: whether to end at the streams' present end.
        stop: ends it when what is under way is done.
        listener: who is told.
        lost: entities that have no way back by consent; their changes are passed over.

    Raises:
        GateError: none of the entities is carried back by the record, or one that is has no way back; or somebody has
            written to their tables past the fence.
        ConfigurationError: the source schema is not what the mapping declares, or `prepare` has not been run.
        StreamLostError: a stream is off, or its changes have gone unread.
        SourceError, TargetError: a store cannot be reached or used. What is carried back stands, and the rest follows.
    """
    began, outcome = time.monotonic(), Outcome()
    async with AsyncExitStack() as stack:
        landings = await _opened(model, entities, stores, stack, lost)
        courses = await _courses(landings, stores, stack)
        appliers = [
            Applier(landing, course, stores.database_url, outcome, limits=limits, listener=listener, stop=stop)
            for landing, course in zip(landings, courses, strict=True)
        ]
        looking = _Looking(model, appliers, outcome, limits, listener)
        async with together() as group:
            for each in appliers:
                group.create_task(each.follow(looking.look, until_drained=until_drained))
        async with session(stores.database_url, purpose="reverse") as connection:
            await looking.count(connection)
            # What one table has got may let another go on.
            while until_drained and outcome.aside and any([await each.settle(connection) for each in appliers]):
                await looking.count(connection)
    outcome.seconds = time.monotonic() - began
    return outcome


async def apply_keys(
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    keys: Sequence[ItemKey],
    *,
    limits: Limits | None = None,
    lost: Sequence[str] = (),
) -> Outcome:
    """Makes the rows of these keys what their items say now; where nothing is under a key, its row goes.

    What PostgreSQL refuses is on record with what streams have brought, and tried again with it.

    Raises:
        GateError, ConfigurationError, SourceError, TargetError: as `carry_back`.
    """
    began, outcome, batch = time.monotonic(), Outcome(), (limits or Limits()).batch
    async with AsyncExitStack() as stack:
        landings = {each.table.name: each for each in await _opened(model, entities, stores, stack, lost)}
        connection = await stack.enter_async_context(session(stores.database_url, purpose="reverse"))
        for name, landing in landings.items():
            waiting = [key for key in dict.fromkeys(keys) if key.table == name]
            while waiting:
                refused: list[ItemKey] = []
                for start in range(0, len(waiting), batch):
                    some = dict.fromkeys(waiting[start : start + batch], True)
                    landed = await alone(connection, landing.lock, lambda: landing.land(connection, some))  # noqa: B023
                    outcome.applied += landed.written
                    outcome.deleted += landed.deleted
                    outcome.skipped += landed.skipped
                    refused += landed.refused
                # One row may have made way for another.
                if len(refused) in {0, len(waiting)}:
                    outcome.refused += len(refused)
                    break
                waiting = refused
        outcome.aside = (await streams.backlog(connection, model.name, list(landings))).refused
    outcome.seconds = time.monotonic() - began
    return outcome


async def backlog(connection: Connection, model: Model) -> Backlog:
    """Tell how much of a model is not carried back: of the tables in which an entity is carried back by the record.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    return await streams.backlog(connection, model.name, await _tables(connection, model))


async def known_streams(connection: Connection, model: Model) -> dict[str, set[str]]:
    """Tell which streams were read of each table in which an entity is carried back by the record (`present_stream`).

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    tables = await _tables(connection, model)
    return {name: set(await streams.positions(connection, model.name, name)) for name in tables}


async def _tables(connection: Connection, model: Model) -> list[str]:
    at = await phases.standings(connection, model.name)
    return sorted({each.table.name for each in model.entities if each.name in at and at[each.name].is_carried_back})


async def _opened(
    model: Model, entities: Sequence[Entity], stores: Stores, stack: AsyncExitStack, lost: Sequence[str]
) -> list[Landing]:
    """The tables of these entities that are carried back, opened."""
    async with session(stores.database_url, purpose="reverse") as connection:
        await state.require(connection)
        at = await phases.standings(connection, model.name)
        back = {name for name, each in at.items() if each.is_carried_back} - set(lost)
        tables = list({each.table.name: each.table for each in entities if each.name in back}.values())
        if not tables:
            raise GateError(
                f"no change of {', '.join(each.name for each in entities)} is carried back in its phase",
                safe="nothing was done",
                next_step="migrate status",
            )
        ways = {table.name: await _ways(connection, model, table, back, lost) for table in tables}
        writers = {table.name: await _writers(connection, ways[table.name]) for table in tables}
    client = await stack.enter_async_context(Client(await asyncio.to_thread(stores.target), patience=_PATIENCE_SECONDS))
    for table in tables:
        await check(client, table.name)
    return [Landing(model, table, ways[table.name], writers[table.name], client) for table in tables]


async def _courses(landings: Sequence[Landing], stores: Stores, stack: AsyncExitStack) -> list[Course]:
    """The streams of these tables, to be read."""
    target = await asyncio.to_thread(stores.target)
    clients = [await asyncio.to_thread(make, target) for make in (control.connect, control.connect_streams)]
    for client in clients:
        stack.callback(client.close)
    return [Course(each.model.name, each.table.name, *clients) for each in landings]


async def _ways(
    connection: Connection, model: Model, table: Table, back: set[str], lost: Sequence[str]
) -> dict[str, Way]:
    """How rows of a table's entities are led back: of all, since one may be opened while others are followed."""
    ways = {}
    for entity in model.of_table(table):
        if entity.name in lost:
            continue
        way = Way(Lookup(entity, await live_table(connection, entity)))
        if not way.lost:
            ways[entity.name] = way
        elif entity.name in back:
            raise GateError(
                f"{entity.name} has no way back: no item holds {', '.join(way.lost)}",
                safe="nothing was done",
                next_step="let an item hold these columns, or give up the way back of this entity",
            )
    return ways


async def _writers(connection: Connection, ways: Mapping[str, Way]) -> dict[str, carried.RowWriter]:
    """What writes the rows, parents before children."""
    tables = [way.lookup.live for way in ways.values()]
    known = await carried.references(connection, tables)
    order = carried.in_order(tables, known)
    return {
        name: await carried.writer(connection, way.lookup.live, way.columns, known)
        for name, way in sorted(ways.items(), key=lambda each: order.index(each[1].lookup.live.oid))
    }


class _Looking:
    """Tells now and then how far it all is. It holds when that was last done."""

    def __init__(
        self, model: Model, appliers: Sequence[Applier], outcome: Outcome, limits: Limits, listener: Listener
    ) -> None:
        self._model = model
        self._appliers = appliers
        self._outcome = outcome
        self._limits = limits
        self._listener = listener
        self._looked_at = 0.0

    async def look(self, connection: Connection) -> None:
        """Tells, if it is time to."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        alarm = (await self.count(connection)).alarm(self._limits.alarm_seconds)
        if alarm is not None:
            self._listener.warned(alarm)
        await self._look_at_fence(connection)
        self._listener.looked(self._outcome)

    async def _look_at_fence(self, connection: Connection) -> None:
        """Tells where somebody could write to a table past the fence."""
        tables: set[TableName] = set()
        for each in self._appliers:
            tables |= await each.landing.fenced(connection)
        gaps = await fence.gaps(connection, sorted(tables, key=str))
        if gaps:
            self._listener.warned(
                f"the fence of {', '.join(map(str, gaps))} is not whole, and what is written there is not in DynamoDB: "
                "ALTER TABLE ... ENABLE ALWAYS TRIGGER migrator_fence"
            )

    async def count(self, connection: Connection) -> Backlog:
        """Brings what is refused, and the lag, up to date: they are the same for all who carry these tables back."""
        tables = [each.landing.table.name for each in self._appliers]
        backlog = await streams.backlog(connection, self._model.name, tables)
        self._outcome.aside, self._outcome.lag = backlog.refused, backlog.lag
        return backlog
