"""Marks in, settled marks out: each key that they touch is read in the target, then in the source, then written."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrator.dynamodb import versions
from migrator.dynamodb.errors import GaveUpError, InvalidRequestError, TransactionCanceledError
from migrator.postgres import tombstones
from migrator.reconcile.desired import Snapshots
from migrator.reconcile.groups import groups
from migrator.reconcile.item_key import ItemKey
from migrator.reconcile.times import Times
from migrator.reconcile.touched import Touched

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.dynamodb.versions import Held
    from migrator.mapping import Entity, Model, Row
    from migrator.postgres.connection import Connection
    from migrator.postgres.pending import PendingMark
    from migrator.reconcile.desired import Desired
    from migrator.reconcile.lookup import Lookup

_ROUNDS: Final = 8
"""How often keys that others write at the same time are tried before their marks go back to wait."""
_PAUSE_SECONDS: Final = 0.02
_IN_FLIGHT: Final = 32


@dataclass
class Settled:
    """What became of marks: settled, set aside for a reason, or left to be tried again. `written` counts items.

    `changed` are sources whose marks were left since a table is another one than it was when its lookup was made.
    """

    done: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    written: int = 0
    changed: set[str] = field(default_factory=set)


@dataclass
class _Work:
    """Marks on their way: the keys that each still needs, and the keys that are in order."""

    needed: dict[int, set[ItemKey]]
    sources: dict[int, str]
    rows: list[tuple[int, Entity, Row]] = field(default_factory=list)
    entities: dict[int, list[str]] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    in_order: set[ItemKey] = field(default_factory=set)
    left: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    written: int = 0
    before: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether the target has taken anything in this round, before which `written` was `before`."""
        return self.written > self.before

    def open_marks(self) -> list[int]:
        """The marks whose row was not yet seen, or of whose keys not all are in order."""
        return [
            mark
            for mark, keys in self.needed.items()
            if mark not in self.reasons and mark not in self.left and (mark not in self.seen or keys - self.in_order)
        ]

    def keys(self) -> set[ItemKey]:
        """The keys to bring in order."""
        return {key for mark in self.open_marks() for key in self.needed[mark] - self.in_order}


class Reconciler:
    """Brings item keys to the state that the source asks for.

    Args:
        model: the model.
        lookups: the rows of each entity, by its name.
        client: the target.
        times: how long requests live.
        pace: the write units per second to stay within; None: as fast as it goes.
    """

    def __init__(
        self,
        model: Model,
        lookups: Mapping[str, Lookup],
        client: Client,
        *,
        times: Times | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._tables = {table.name: table for table in model.tables}
        self._by_source: dict[str, list[Lookup]] = defaultdict(list)
        for lookup in lookups.values():
            self._by_source[str(lookup.live.table)].append(lookup)
        self._atomic = frozenset(name for name, lookup in lookups.items() if lookup.entity.atomic)
        self._snapshots = Snapshots(model.name, self._tables, lookups)
        self._client = client
        self._times = times or Times()
        self._pace = pace

    @property
    def sources(self) -> list[str]:
        """The source tables whose marks it understands, as marks name them."""
        return list(self._by_source)

    async def reconcile(self, connection: Connection, marks: Sequence[PendingMark]) -> Settled:
        """Reconciles all item keys that these marks touch. Whoever calls holds the marks, and deletes those done.

        Args:
            connection: a session on the primary that is in no transaction.
            marks: marks of `sources`.

        Raises:
            SourceError, TargetError: a store failed. What was written stands, and every mark is still to be settled.
        """
        work = await self._work(connection, marks)
        for attempt in range(_ROUNDS):
            if not work.open_marks():
                break
            if attempt:
                await asyncio.sleep(_PAUSE_SECONDS * 2**attempt * random.random())  # noqa: S311 - spreads writers
            await self._round(connection, work)
        left = [*work.left, *work.open_marks()]
        gone = work.reasons.keys() | set(left)
        done = [mark for mark in work.needed if mark not in gone]
        return Settled(done, work.reasons, left, work.written, {work.sources[mark] for mark in work.changed})

    async def _work(self, connection: Connection, marks: Sequence[PendingMark]) -> _Work:
        work = _Work({mark.id: set() for mark in marks}, {mark.id: mark.source for mark in marks})
        by_source: dict[str, list[PendingMark]] = defaultdict(list)
        for mark in marks:
            by_source[mark.source].append(mark)
        for source, some in by_source.items():
            lookups = self._by_source[source]
            if await self._snapshots.changed(connection, [lookup.entity.name for lookup in lookups]):
                # Not even what the marks hold can be read.
                work.changed |= {mark.id for mark in some}
                work.left |= work.changed
                continue
            work.entities |= {mark.id: [lookup.entity.name for lookup in lookups] for mark in some}
            touched = Touched(lookups, some)
            await touched.read(connection)
            work.reasons |= touched.reasons
            for number, keys in touched.old_keys.items():
                work.needed[number] |= keys
            work.rows += ((number, each.entity, row) for number, row in touched.row_keys.items() for each in lookups)
        if work.rows:
            # Only to know which keys to read in the target; what is written comes from a later snapshot.
            self._take_owned(work, await self._snapshots.take(connection, (), work.rows))
        return work

    @staticmethod
    def _take_owned(work: _Work, desired: Desired) -> set[int]:
        """Adds the keys that the rows own now; returns the marks of rows that own others than were known."""
        moved = {mark for mark, keys in desired.owned.items() if not keys <= work.needed[mark]}
        for mark, keys in desired.owned.items():
            work.needed[mark] |= keys
        work.reasons |= desired.unsaid
        work.changed |= {
            mark for mark, keys in work.needed.items() if mark in desired.changed or keys & desired.changed
        }
        work.left |= work.changed
        return moved

    async def _round(self, connection: Connection, work: _Work) -> None:
        """Target first, then the source, then the condition: that makes late writers harmless."""
        keys, work.before = work.keys(), work.written
        held = await self._held(keys)
        opened = set(work.open_marks())
        deadline = asyncio.get_running_loop().time() + self._times.request
        desired = await self._snapshots.take(connection, keys, [row for row in work.rows if row[0] in opened])
        moved = self._take_owned(work, desired)
        self._leave(work, desired)
        work.seen |= opened
        # The new keys of a row that has moved meanwhile were not read in the target. The old ones wait for them:
        # written now, they would leave the row nowhere.
        writable = (keys & work.keys()).difference(*(work.needed[mark] for mark in moved))
        for mark, needed in work.needed.items():
            reason = next((desired.reasons[key] for key in needed if key in desired.reasons), None)
            if reason is not None:
                work.reasons[mark] = reason
        writable -= desired.reasons.keys() | desired.changed
        together = self._together(work, opened)
        apart = writable.difference(*together)
        # The new keys of rows that have moved before the old ones: a reader may find an item twice, but not nowhere.
        await self._write(work, [(key,) for key in apart if key in desired.items], held, desired, deadline)
        rest: list[tuple[ItemKey, ...]] = [(key,) for key in apart if key not in desired.items]
        rest += (tuple(group & writable) for group in together if group - work.in_order <= writable)
        written = await self._write(work, rest, held, desired, deadline)
        await self._record(connection, [key for key in written if key not in desired.items], desired)

    def _together(self, work: _Work, marks: set[int]) -> list[set[ItemKey]]:
        """The keys of these marks that are to change in one transaction, as far as one can hold them."""
        atomic = [mark for mark in marks if not self._atomic.isdisjoint(work.entities.get(mark, ()))]
        return [group for group in groups(atomic, work.needed) if 1 < len(group) <= versions.TRANSACTION_ITEMS]

    def _leave(self, work: _Work, desired: Desired) -> None:
        """Marks of entities that do not follow PostgreSQL (any more, or yet) are none to settle."""
        work.left |= {mark for mark, names in work.entities.items() if not all(map(desired.moment.follows, names))}

    async def _held(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Held]:
        """What the target holds under these keys; a key that holds nothing is left out."""
        by_table: dict[str, list[ItemKey]] = defaultdict(list)
        for key in keys:
            by_table[key.table].append(key)
        held: dict[ItemKey, Held] = {}
        for name, some in by_table.items():
            table = self._tables[name]
            names = [attribute.name for attribute in table.key_attributes]
            for item, what in await versions.held(self._client, name, [key.wire(table) for key in some], names):
                held[ItemKey.of(table, item)] = what
        return held

    async def _write(
        self,
        work: _Work,
        parts: Sequence[tuple[ItemKey, ...]],
        held: Mapping[ItemKey, Held],
        desired: Desired,
        deadline: float,
    ) -> list[ItemKey]:
        """Writes these keys side by side, those of a part at once; returns those written.

        The others were changed by somebody meanwhile.
        """
        waiting, written = iter(parts), list[ItemKey]()

        async def hand() -> None:
            for part in waiting:
                if part and await self._send(
                    work, [self._put(key, held.get(key), desired) for key in part], part, deadline
                ):
                    written.extend(part)

        # All have ended before a failure is raised: none is sent when nobody counts on it any more.
        hands = [hand() for _ in range(min(_IN_FLIGHT, len(parts)))]
        results = await asyncio.gather(*hands, return_exceptions=True)
        work.in_order |= set(written)
        work.written += len(written)
        for result in results:
            # Where the target is only slow, the rest is written from a later snapshot, before a later deadline.
            if result is not None and not (work.goes_on and isinstance(result, GaveUpError)):
                raise result
        return written

    async def _send(self, work: _Work, puts: Sequence[versions.Put], keys: Sequence[ItemKey], deadline: float) -> bool:
        """Puts items at once; where one of them is refused for what it is, the marks of their keys get the reason."""
        try:
            if len(puts) > 1:
                return await versions.put_all_where(self._client, puts, deadline=deadline, pace=self._pace)
            (put,) = puts
            return await versions.put_where(
                self._client,
                put.table_name,
                put.item,
                key_name=put.key_name,
                was=put.was,
                deadline=deadline,
                pace=self._pace,
            )
        except (InvalidRequestError, TransactionCanceledError) as error:
            for mark, needed in work.needed.items():
                if not needed.isdisjoint(keys):
                    work.reasons[mark] = f"DynamoDB refused an item of the row ({error.code})"
            return False

    def _put(self, key: ItemKey, was: Held | None, desired: Desired) -> versions.Put:
        table, moment = self._tables[key.table], desired.moment
        item = desired.items.get(key)
        text = (
            versions.tombstone(key.wire(table), moment.version, int(moment.at.timestamp()))
            if item is None
            else versions.versioned(item, moment.version)
        )
        return versions.Put(table.name, text, table.partition_key.name, was)

    @staticmethod
    async def _record(connection: Connection, buried: Sequence[ItemKey], desired: Desired) -> None:
        """Notes the tombstones, to be purged some day."""
        by_table: dict[str, dict[str, int]] = defaultdict(dict)
        for key in buried:
            by_table[key.table][key.line.decode()] = desired.moment.version
        for table, written in by_table.items():
            await tombstones.record(connection, table, written, desired.moment.at)
