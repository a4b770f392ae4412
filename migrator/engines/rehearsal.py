"""The rehearsal of the way back: rows led to their items as they stand in the target, and from these back again.

Each row is read, its items are read and inverted, and what comes out is held against the row, then written to a
stand-in of the table and read again. Nothing is changed; only that it was done is recorded.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb import Client, batch_get, check
from migrator.dynamodb.versions import DELETED
from migrator.engines.stores import live_table
from migrator.errors import GateError
from migrator.mapping import Inverse, Undecodable, Unencodable, differing_columns, expiry, forward
from migrator.postgres import (
    key_marks,
    missed_marks,
    phases,
    rehearsals,
    samples,
    stand_in,
    state,
    verifications,
)
from migrator.postgres.connection import connect
from migrator.postgres.rehearsals import Rehearsal
from migrator.postgres.rows import RowSource
from migrator.reconcile import ItemKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Model, Row, WireItem
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection
    from migrator.postgres.missed_marks import Form
    from migrator.postgres.rows import Key

_AT_ONCE: Final = 50
_PAUSES: Final = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 1.6)
"""Seconds before looks at rows that did not come back: a change of them may be on its way."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that did not come back: its primary key, the columns that it is about, and why. Values are not shown."""

    key: Mapping[str, str]
    columns: tuple[str, ...]
    reason: str


@dataclass
class Rehearsed:
    """What was found of one entity.

    Of its `rows`, some are `expired`, past their TTL, and some were `moving`: they changed, or a change of them waited
    to be carried over, for as long as they were looked at.
    """

    entity: Entity
    rows: int = 0
    proven: int = 0
    expired: int = 0
    moving: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def dropped(self) -> list[str]:
        """The columns that the mapping leaves behind on purpose: rows come back without them."""
        return [column.name for column in self.entity.dropped]

    def counts(self) -> dict[str, Any]:
        """The figures for the record."""
        return {
            "rows": self.rows,
            "proven": self.proven,
            "expired": self.expired,
            "moving": self.moving,
            "failed": len(self.failures),
            "dropped": self.dropped,
        }


async def rehearse(model: Model, stores: Stores, *, sample: int) -> list[Rehearsed]:
    """Leads rows of every entity forward and back, and records that it was done.

    Args:
        model: the model.
        stores: where source and target are.
        sample: how many rows of each entity, drawn at random; all where there are no more.

    Raises:
        GateError: an entity is in a phase in which its items are not kept as the source says.
        ConfigurationError: the source schema is not what the mapping declares, or `prepare` has not been run.
        SourceError, TargetError: a store cannot be reached or used. Nothing is recorded.
    """
    async with AsyncExitStack() as stack:
        connection = await connect(stores.database_url, purpose="rehearse")
        stack.push_async_callback(connection.close)
        await state.require(connection)
        await _check_phases(connection, model)
        client = await stack.enter_async_context(Client(await asyncio.to_thread(stores.target)))
        for table in model.tables:
            await check(client, table.name)
        began = await verifications.now(connection)
        found = []
        for entity in model.entities:
            stage = _Stage(entity, await live_table(connection, entity), connection, client)
            found.append(await stage.rehearse(sample, int(began.timestamp())))
        done = await verifications.now(connection)
        proven = not any(each.failures for each in found)
        counts = {each.entity.name: each.counts() for each in found}
        ended = Rehearsal(model.fingerprint, began, done, sample, proven, counts)
        await rehearsals.record(connection, model.name, ended)
    return found


async def _check_phases(connection: Connection, model: Model) -> None:
    at = await phases.standings(connection, model.name)
    others = {each.name: at.get(each.name, phases.Standing()).phase for each in model.entities}
    reasons = [f"{name} is in {phase}" for name, phase in others.items() if phase not in phases.FOLLOWED]
    if reasons:
        raise GateError(
            f"the way back cannot be rehearsed: changes are not carried over, since {', '.join(reasons)}",
            safe="nothing was read or recorded",
            next_step="migrate status",
        )


class _Stage:
    """The rehearsal of one entity."""

    def __init__(self, entity: Entity, live: LiveTable, connection: Connection, client: Client) -> None:
        self._entity = entity
        self._live = live
        self._connection = connection
        self._client = client
        self._inverse = Inverse(entity)
        self._source = RowSource(live, entity.projection)
        self._form: Form | None = None
        self._names = [projected.name for projected in entity.projection]

    async def rehearse(self, sample: int, now: int) -> Rehearsed:
        found = Rehearsed(self._entity)
        keys = await samples.drawn(self._connection, self._live, sample)
        for start in range(0, len(keys), _AT_ONCE):
            await self._settle(keys[start : start + _AT_ONCE], now, found)
        return found

    async def _settle(self, keys: Sequence[Key], now: int, found: Rehearsed) -> None:
        """Looks at rows until each has come back, or long enough; a row that is gone meanwhile is none."""
        failing: dict[Key, Failure | None] = {}
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            waiting = await self._waiting(keys)
            rows = await self._rows(keys)
            living = {key: row for key, row in rows.items() if not self._is_expired(row, now)}
            failing = await self._look(living)
            # A change that was made since then waits still, or has arrived before the items were read.
            waiting |= await self._waiting(list(failing))
            failing = {key: None if key in waiting else failure for key, failure in failing.items()}
            found.expired += len(rows) - len(living)
            found.proven += len(living) - len(failing)
            keys = list(failing)
            if not keys:
                break
        failures = [failure for failure in failing.values() if failure is not None]
        found.failures += failures
        found.moving += len(failing) - len(failures)
        found.rows = found.proven + found.expired + found.moving + len(found.failures)

    async def _waiting(self, keys: Sequence[Key]) -> set[Key]:
        """Those of these rows of which a change waits to be carried over."""
        if self._form is None:
            self._form = await missed_marks.form(self._connection, self._live, self._live.key)
        named = [self._source.named_key(key) for key in keys]
        documents = await self._form.documents(self._connection, named)
        marks = await key_marks.of_rows(self._connection, str(self._live.table), documents)
        return {keys[place] for place, reasons in marks.items() if None in reasons}

    async def _rows(self, keys: Sequence[Key]) -> dict[Key, Row]:
        records = await self._source.by_keys(self._connection, keys)
        return {key: self._row(record) for key, record in zip(keys, records, strict=True) if record is not None}

    def _row(self, record: Any) -> Row:  # noqa: ANN401 - asyncpg's own
        return dict(zip(self._names, record, strict=False))

    def _is_expired(self, row: Row, now: int) -> bool:
        try:
            until = expiry(self._entity.plan, row)
        except Unencodable:
            return False
        return until is not None and until <= now

    async def _look(self, rows: Mapping[Key, Row]) -> dict[Key, Failure | None]:
        """The rows that do not come back, as they are now; without a failure, a row that changed meanwhile."""
        wanted: dict[Key, list[ItemKey]] = {}
        failing: dict[Key, Failure | None] = {}
        table = self._entity.table
        for key, row in rows.items():
            try:
                wanted[key] = [ItemKey.of(table, item) for item in forward(self._entity, row)]
            except Unencodable as error:
                failing[key] = self._failure(key, (), error.why)
        items = await self._items({each for keys in wanted.values() for each in keys})
        after = await self._rows(list(wanted))
        back: dict[Key, Row] = {}
        for key, keys in wanted.items():
            if after.get(key) != rows[key]:
                failing[key] = None
                continue
            led = self._led_back(key, rows[key], [items[each] for each in keys if each in items], len(keys))
            if isinstance(led, Failure):
                failing[key] = led
            else:
                back[key] = led
        return failing | await self._written(rows, back)

    async def _items(self, keys: set[ItemKey]) -> dict[ItemKey, WireItem]:
        table = self._entity.table
        found = await batch_get(self._client, table.name, [key.wire(table) for key in keys])
        return {ItemKey.of(table, item): item for item in found if DELETED not in item}

    def _led_back(self, key: Key, row: Row, items: Sequence[WireItem], wanted: int) -> Row | Failure:
        """The row that its items give, where it is this one."""
        if len(items) < wanted:
            return self._failure(key, (), f"{wanted - len(items)} of its {wanted} items are missing")
        try:
            led = self._inverse.row(items)
        except Undecodable as error:
            return self._failure(key, (error.where,), error.reason)
        differing = differing_columns(self._entity, row, led)
        return self._failure(key, tuple(differing), "its items give other values") if differing else led

    async def _written(self, rows: Mapping[Key, Row], back: Mapping[Key, Row]) -> dict[Key, Failure]:
        """Those of these rows that the table would not take, or would give back otherwise."""
        if not back:
            return {}
        read = await stand_in.written(self._connection, self._live, self._entity.projection, back)
        failing = {}
        for key in back:
            record = read.get(key)
            if record is None or isinstance(record, str):
                failing[key] = self._failure(key, (), record or "it is not found under its key when it is written back")
                continue
            again = {name: value for name, value in self._row(record).items() if name in back[key]}
            differing = differing_columns(self._entity, rows[key], again)
            if differing:
                failing[key] = self._failure(key, tuple(differing), "other values are read when it is written back")
        return failing

    def _failure(self, key: Key, columns: tuple[str, ...], reason: str) -> Failure:
        return Failure(self._source.named_key(key), columns, reason)
