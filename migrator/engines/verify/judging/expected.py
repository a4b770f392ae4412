"""What the source says of item keys, in one snapshot: the item each should hold, and whether a change is on its way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from migrator.engines.verify.judging.causes import stands_elsewhere
from migrator.mapping import Unencodable, claims, expiry, forward, row_key
from migrator.mapping.forward import key_text
from migrator.mapping.testimony import key_line
from migrator.postgres import catalog, key_marks, missed_marks
from migrator.postgres.errors import errors_explained
from migrator.postgres.unmarked import unmarked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Claim, Entity, Row, Table, WireItem
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.missed_marks import Form
    from migrator.reconcile import Lookup

SEVERAL_ROWS = "several rows become items of this key"


@dataclass(frozen=True)
class Expected:
    """What the source says of a key: the item it should be (None: none), or why that cannot be said.

    Attributes:
        entity: whose key it is; None where no row can own it.
        row_key: the primary key of the row that could own it, where it is known.
        row: that row, where there is one.
        item: what the key is to hold.
        free: the row is past its TTL, so that whatever the key holds is right.
        elsewhere: the row's item is to stand under another key.
        reason: why it cannot be said what the key is to hold.
        waiting: a change of the row waits to be carried over.
        set_aside: why a change of the row was set aside, where one was.
        unmarked: the row's last change is known to have left no mark.
    """

    entity: Entity | None = None
    row_key: tuple[str, ...] | None = None
    row: Row | None = None
    item: WireItem | None = None
    free: bool = False
    elsewhere: bool = False
    reason: str | None = None
    waiting: bool = False
    set_aside: str | None = None
    unmarked: bool = False


@dataclass(frozen=True)
class _Asked:
    """A key, by its place among those asked for, and who claims it.

    `columns` are those by which marks of the row's former state are found: the primary key, if the key tells it, since
    a mark of before capture noted more may hold nothing else.
    """

    place: int
    claim: Claim

    @property
    def columns(self) -> tuple[str, ...]:
        values, key = self.claim.values, self.claim.entity.key_columns
        return tuple(key) if values.keys() >= set(key) else tuple(sorted(values))

    @property
    def texts(self) -> dict[str, str]:
        return {name: key_text(self.claim.values[name]) for name in self.columns}


class Snapshots:
    """Takes snapshots of what the source says of keys of one table. Holds how columns stand in marks.

    Args:
        table: the table.
        lookups: the rows of each entity of the table, by its name.
        pool: sessions on the source.
        now: the time in Unix seconds, by PostgreSQL's clock.
    """

    def __init__(self, table: Table, lookups: Mapping[str, Lookup], pool: Pool, now: int) -> None:
        self._lookups = lookups
        self._entities = [lookup.entity for lookup in lookups.values()]
        self._pool = pool
        self._now = now
        self._table = table
        self._forms: dict[tuple[str, tuple[str, ...]], Form] = {}

    async def take(self, keys: Sequence[WireItem]) -> list[Expected]:
        """What the source says of these keys, all in one snapshot.

        Raises:
            SourceError: PostgreSQL cannot be reached, or a table is gone.
        """
        wanted: dict[str, list[_Asked]] = defaultdict(list)
        for place, key in enumerate(keys):
            for claim in claims(self._entities, key):
                wanted[claim.entity.name].append(_Asked(place, claim))
        expected = [Expected() for _ in keys]
        with errors_explained("take a snapshot"):
            async with self._pool.acquire() as connection:
                # A value that its column cannot hold would end the snapshot's transaction.
                said = {name: await self._in_marks(connection, name, asked) for name, asked in wanted.items()}
                async with connection.transaction(isolation="repeatable_read"):
                    if wanted:
                        await catalog.hold(connection, (self._lookups[name].live for name in wanted))
                    for name, asked in wanted.items():
                        found = await self._lookups[name].rows(connection, [each.claim.values for each in asked])
                        for each, rows in zip(asked, found, strict=True):
                            expected[each.place] = self._of_rows(each.claim, rows, keys[each.place])
                        await self._mark(connection, name, asked, said[name], expected)
                        await self._unmarked(connection, name, [each.place for each in asked], expected)
        return expected

    async def _in_marks(self, connection: Connection, name: str, asked: Sequence[_Asked]) -> dict[int, str | None]:
        """By place, what marks hold of the columns that a key tells; None where no row can have them."""
        said: dict[int, str | None] = {}
        for columns, some in _by_columns(asked).items():
            form = await self._form(connection, name, columns)
            documents = await form.documents(connection, [each.texts for each in some])
            said |= {each.place: document for each, document in zip(some, documents, strict=True)}
        return said

    async def _mark(
        self,
        connection: Connection,
        name: str,
        asked: Sequence[_Asked],
        said: Mapping[int, str | None],
        expected: list[Expected],
    ) -> None:
        """Adds what the marks of a snapshot say of keys."""
        source = str(self._lookups[name].live.table)
        reasons: dict[int, list[str | None]] = defaultdict(list)
        for columns, some in _by_columns(asked).items():
            found = await key_marks.of_former_rows(connection, source, columns, [said[each.place] for each in some])
            for number, marks in found.items():
                reasons[some[number].place] += marks
        known = [each.place for each in asked if expected[each.place].row_key is not None and said[each.place]]
        form = await self._form(connection, name, self._lookups[name].live.key)
        rows = [dict(zip(form.columns, expected[place].row_key or (), strict=True)) for place in known]
        documents = await form.documents(connection, rows)
        for number, marks in (await key_marks.of_rows(connection, source, documents)).items():
            reasons[known[number]] += marks
        truncated = await key_marks.of_truncation(connection, source)
        for place in (each.place for each in asked if truncated is not None and expected[each.place].row is None):
            reasons[place].append(truncated)
        for place, marks in reasons.items():
            aside = next((reason for reason in marks if reason is not None), None)
            expected[place] = replace(expected[place], waiting=None in marks, set_aside=aside)

    async def _unmarked(
        self, connection: Connection, name: str, places: Sequence[int], expected: list[Expected]
    ) -> None:
        """Adds of which rows the last change is known to have left no mark."""
        keys = {place: key for place in places if expected[place].row and (key := expected[place].row_key)}
        found = await unmarked(connection, self._lookups[name].live, list(keys.values()))
        for place, is_unmarked in zip(keys, found, strict=True):
            expected[place] = replace(expected[place], unmarked=is_unmarked)

    async def _form(self, connection: Connection, name: str, columns: tuple[str, ...]) -> Form:
        if (name, columns) not in self._forms:
            self._forms[name, columns] = await missed_marks.form(connection, self._lookups[name].live, columns)
        return self._forms[name, columns]

    def _of_rows(self, claim: Claim, rows: Sequence[Row], key: WireItem) -> Expected:
        if len(rows) > 1:
            return Expected(claim.entity, claim.row_key, reason=SEVERAL_ROWS)
        if not rows:
            return Expected(claim.entity, claim.row_key)
        (row,) = rows
        known = row_key(claim.entity, row)
        expired = _expired(claim.entity, row, self._now)
        try:
            items = forward(claim.entity, row)
        except Unencodable as error:
            return Expected(claim.entity, known, row, free=expired, reason=error.why)
        line = key_line(key, self._table.key_attributes)
        item = next((item for item in items if key_line(item, self._table.key_attributes) == line), None)
        elsewhere = item is None and stands_elsewhere(claim.entity, claim.number, items)
        return Expected(claim.entity, known, row, item, free=expired and item is not None, elsewhere=elsewhere)


def _by_columns(asked: Sequence[_Asked]) -> dict[tuple[str, ...], list[_Asked]]:
    by_columns: dict[tuple[str, ...], list[_Asked]] = defaultdict(list)
    for each in asked:
        by_columns[each.columns].append(each)
    return by_columns


def _expired(entity: Entity, row: Row, now: int) -> bool:
    """Whether a row is past its TTL; where that cannot be told, `forward` says why."""
    try:
        until = expiry(entity.plan, row)
    except Unencodable:
        return False
    return until is not None and until <= now
