"""The rows of an entity, and among them those that could own an item, found by what the item's key says of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.errors import UsageError
from migrator.mapping.forward import key_text
from migrator.mapping.kind import Numeric
from migrator.mapping.number import canonical
from migrator.postgres.errors import errors_explained
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Entity, Row
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection, Pool, Record
    from migrator.postgres.rows import Key


class Lookup:
    """Finds the rows of one entity by values of some of its columns: the primary key, or another unique set.

    Args:
        entity: the entity.
        live: its table.
    """

    def __init__(self, entity: Entity, live: LiveTable) -> None:
        self.entity = entity
        self.live = live
        self.source = RowSource(live, entity.projection)
        self.used = frozenset({*entity.plan.columns, *live.key})
        self._names = [projected.name for projected in entity.projection]
        self._numeric = frozenset(name for name, kind in entity.plan.kinds.items() if isinstance(kind, Numeric))

    async def read(self, pool: Pool, wanted: Sequence[Row]) -> list[list[Row]]:
        """The rows of each set of values, as they are now: `rows` in a session of its own."""
        with errors_explained(f"read {self.source.table}"):
            async with pool.acquire() as connection:
                return await self.rows(connection, wanted)

    async def rows(self, connection: Connection, wanted: Sequence[Row]) -> list[list[Row]]:
        """The rows of each set of values: one at most, unless rows share what should tell them apart.

        All come from the snapshot of the transaction that `connection` is in, if it is in one. A value that a column
        cannot hold finds no row: any text may stand in a stray's key.

        Raises:
            SourceError: as `RowSource.by_keys`.
        """
        by_columns: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, values in enumerate(wanted):
            known = values.keys() >= set(self.live.key)
            by_columns[self.live.key if known else tuple(values)].append(number)
        found: list[list[Row]] = [[] for _ in wanted]
        for columns, numbers in by_columns.items():
            keys = [tuple(key_text(wanted[number][name]) for name in columns) for number in numbers]
            rows = await self._rows(connection, columns, keys)
            for number, key in zip(numbers, keys, strict=True):
                found[number] = rows.get(self._settled(columns, key), [])
        return found

    async def _rows(
        self, connection: Connection, columns: tuple[str, ...], keys: Sequence[Key]
    ) -> Mapping[Key, list[Row]]:
        """The rows that have these values in these columns, by the settled key."""
        whole = columns == self.live.key
        source = self.source if whole else RowSource(replace(self.live, key=columns), self.entity.projection)
        rows: dict[Key, list[Row]] = defaultdict(list)
        wanted = {self._settled(columns, key): key for key in keys}
        for record in await _records(connection, source, list(wanted.values())):
            if record is not None:
                key = self._settled(columns, source.key_of(record))
                rows[key].append(dict(zip(self._names, record, strict=False)))
        return rows

    def _settled(self, columns: tuple[str, ...], key: Key) -> Key:
        """A key in the one text for its values: an item's key has a numeric without the column's scale."""
        if self._numeric.isdisjoint(columns):
            return key
        return tuple(
            canonical(text) if name in self._numeric else text for name, text in zip(columns, key, strict=True)
        )


async def _records(connection: Connection, source: RowSource, keys: Sequence[Key]) -> list[Record | None]:
    """The records of these keys, and none for one that the columns cannot hold."""
    try:
        # A savepoint: within a transaction, a value that cannot be read would end the snapshot.
        async with connection.transaction():
            return await source.by_keys(connection, keys)
    except UsageError:
        if len(keys) == 1:
            return []
        middle = len(keys) // 2
        return [*await _records(connection, source, keys[:middle]), *await _records(connection, source, keys[middle:])]
