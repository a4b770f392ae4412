"""One transaction: changed keys become rows, with the place in the stream up to which that is so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrator.engines.reverse.leading import Asked, Gone, Leading, Written
from migrator.postgres import carried, fence, phases, streams
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.refusals import REFUSED, refusal
from migrator.postgres.streams import Refused
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.engines.reverse.way import Way
    from migrator.mapping import Model, Table
    from migrator.postgres.carried import RowWriter
    from migrator.postgres.connection import Connection
    from migrator.postgres.identifiers import TableName
    from migrator.postgres.streams import Noted

REFERRED_TO: Final = "rows refer to it, and PostgreSQL would delete or change them with it"


@dataclass(frozen=True)
class Reached:
    """How far shards of a stream have been read."""

    stream: str
    shards: Mapping[str, Noted]


@dataclass
class Landed:
    """What became of keys.

    Attributes:
        over: none of the entities is carried back any more, and nothing was done.
        written: rows that were written.
        deleted: rows that were deleted.
        refused: keys that wait, with their entities, and why.
        skipped: how many of the keys asked for nothing.
    """

    over: bool = False
    written: int = 0
    deleted: int = 0
    refused: dict[ItemKey, tuple[str, str]] = field(default_factory=dict)
    skipped: int = 0


class Landing:
    """Carries changed keys of one target table back. It holds how the rows of its entities are led back and written.

    Args:
        model: the model.
        table: the target table.
        ways: by name, the entities that may be carried back, all that stand in the table.
        writers: by name, what writes their rows, parents before children.
        client: the target.
    """

    def __init__(
        self, model: Model, table: Table, ways: Mapping[str, Way], writers: Mapping[str, RowWriter], client: Client
    ) -> None:
        self.model = model
        self.table = table
        self._ways = ways
        self._writers = writers
        self._client = client

    @property
    def lock(self) -> str:
        """The name of the lock under which keys of this table are carried back: one after another."""
        return lock_of(self.model, self.table)

    async def standing(self, connection: Connection) -> dict[str, phases.Standing]:
        """The entities that are carried back now.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        at = await phases.standings(connection, self.model.name)
        return {name: at[name] for name in self._ways if name in at and at[name].is_carried_back}

    async def fenced(self, connection: Connection) -> set[TableName]:
        """The tables of the entities that are carried back now: nobody else may write to them.

        Raises:
            SourceError: PostgreSQL cannot be reached.
        """
        return {self._ways[name].lookup.live.table for name in await self.standing(connection)}

    async def land(
        self,
        connection: Connection,
        changes: Mapping[ItemKey, bool],
        *,
        reached: Reached | None = None,
        settled: Sequence[ItemKey] = (),
    ) -> Landed:
        """Makes rows what the items of these keys say now. The caller holds the lock.

        Args:
            connection: a session that is in no transaction, the one that holds the lock.
            changes: keys, with each whether its change was a removal.
            reached: what is to be on record when that is done.
            settled: keys that are not to be tried again, whatever was the matter with them.

        Raises:
            GateError: somebody has written past the fence.
            SourceError, TargetError: a store failed. Nothing was done.
        """
        landed = Landed()
        with errors_explained(f"carry {self.table.name} back", connection=connection, privileges=OWN_TABLES):
            async with connection.transaction(isolation="repeatable_read"):
                # Before there is a snapshot: the phase that it shows is the one that there is until it ends.
                await carried.hold(connection, [way.lookup.live for way in self._ways.values()])
                await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                async with fence.passing(connection):
                    at = await self.standing(connection)
                    if not at:
                        return Landed(over=True)
                    ways = {name: self._ways[name] for name in at}
                    sources = [str(way.lookup.live.table) for way in ways.values()]
                    await carried.check_unmarked(connection, sources)
                    asked = await Leading(connection, self._client, self.table, ways).lead(changes)
                    landed.skipped = len(changes.keys() - asked.changed)
                    await self._write(connection, asked, landed)
                    await carried.unmark(connection, sources)
                    await self._record(connection, {**changes, **dict.fromkeys(settled, True)}, landed, reached)
        return landed

    async def _write(self, connection: Connection, asked: Asked, landed: Landed) -> None:
        """Writes what is asked for: all at once, or where PostgreSQL refuses it, row by row, as far as it goes."""
        landed.refused |= asked.refused
        order = list(self._writers)
        steps: list[Written | Gone] = [
            *sorted(asked.written, key=lambda each: order.index(each.way.entity.name)),
            *sorted(asked.gone, key=lambda each: -order.index(each.way.entity.name)),
        ]
        if not await self._write_all(connection, steps):
            steps = await self._write_each(connection, steps, landed)
        landed.written = sum(isinstance(each, Written) for each in steps)
        landed.deleted = len(steps) - landed.written

    async def _write_all(self, connection: Connection, steps: Sequence[Written | Gone]) -> bool:
        """Writes all of it, or nothing where PostgreSQL refuses any."""
        savepoint = connection.transaction()
        await savepoint.start()
        try:
            whole = await self._write_groups(connection, steps)
        except REFUSED:
            whole = False
        await (savepoint.commit() if whole else savepoint.rollback())
        return whole

    async def _write_groups(self, connection: Connection, steps: Sequence[Written | Gone]) -> bool:
        """Writes all of it; what PostgreSQL lets wait is looked at in the end. Returns whether it was all done."""
        await connection.execute("SET CONSTRAINTS ALL DEFERRED")
        for kind in (Written, Gone):
            for name in dict.fromkeys(each.way.entity.name for each in steps if isinstance(each, kind)):
                some = [each for each in steps if isinstance(each, kind) and each.way.entity.name == name]
                if not await self._step(connection, some):
                    return False
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        return True

    async def _write_each(
        self, connection: Connection, steps: Sequence[Written | Gone], landed: Landed
    ) -> list[Written | Gone]:
        """Writes row by row, again as long as one makes way for another; returns what was written."""
        done: list[Written | Gone] = []
        left, reasons = list(steps), dict[ItemKey, tuple[str, str]]()
        while left:
            reasons, again = {}, []
            for each in left:
                reason = await self._refused(connection, each)
                if reason is None:
                    done.append(each)
                else:
                    again.append(each)
                    reasons[each.key] = (each.way.entity.name, reason)
            if len(again) == len(left):
                break
            left = again
        landed.refused |= reasons
        return done

    async def _refused(self, connection: Connection, step: Written | Gone) -> str | None:
        """Writes one row; returns why PostgreSQL does not take it."""
        try:
            async with connection.transaction():
                return None if await self._step(connection, [step]) else REFERRED_TO
        except REFUSED as error:
            return refusal(error)

    async def _step(self, connection: Connection, steps: Sequence[Written | Gone]) -> bool:
        """Writes rows of one entity, or deletes them; returns whether it was done to all."""
        writer = self._writers[steps[0].way.entity.name]
        rows = [each.row for each in steps]
        if isinstance(steps[0], Written):
            await writer.upsert(connection, rows)
            return True
        return await writer.delete(connection, rows) == len(rows)

    async def _record(
        self, connection: Connection, changes: Mapping[ItemKey, bool], landed: Landed, reached: Reached | None
    ) -> None:
        """Notes what is refused, and how far the stream is carried back."""
        model, table = self.model.name, self.table.name
        done = [key.line.decode() for key in changes if key not in landed.refused]
        if done:
            await streams.settle(connection, model, table, done)
        refused = [
            Refused(key.line.decode(), entity, changes.get(key, False), reason)
            for key, (entity, reason) in landed.refused.items()
        ]
        if refused:
            await streams.refuse(connection, model, table, refused)
        if reached is not None and reached.shards:
            await streams.note(connection, model, table, reached.stream, reached.shards)


def lock_of(model: Model, table: Table) -> str:
    """The name of the lock under which keys of a table are carried back."""
    return f"reverse:{model.name}:{table.name}"
