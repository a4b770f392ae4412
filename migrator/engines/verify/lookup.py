"""The rows of an entity, and among them those that could own an item, found by what the item's key says of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.errors import UsageError
from migrator.mapping.forward import key_text
from migrator.postgres.errors import errors_explained
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Claim, Entity, Row
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection, Pool, Record
    from migrator.postgres.rows import Key


class Lookup:
    """Finds the rows of one entity by claims: by the primary key, or by the set of columns that the key holds.

    Args:
        entity: the entity.
        live: its table.
    """

    def __init__(self, entity: Entity, live: LiveTable) -> None:
        self.entity = entity
        self.live = live
        self.source = RowSource(live, entity.projection)
        self._names = [projected.name for projected in entity.projection]

    async def rows(self, pool: Pool, claims: Sequence[Claim]) -> list[list[Row]]:
        """The rows of each claim, which is one at most unless rows share what should tell them apart."""
        by_columns: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for number, claim in enumerate(claims):
            known = claim.values.keys() >= set(self.live.key)
            by_columns[self.live.key if known else tuple(claim.values)].append(number)
        found: list[list[Row]] = [[] for _ in claims]
        for columns, numbers in by_columns.items():
            keys = [tuple(key_text(claims[number].values[name]) for name in columns) for number in numbers]
            rows = await self._rows(pool, columns, keys)
            for number, key in zip(numbers, keys, strict=True):
                found[number] = rows[key]
        return found

    async def _rows(self, pool: Pool, columns: tuple[str, ...], keys: Sequence[Key]) -> dict[Key, list[Row]]:
        """The rows that have these values in these columns."""
        source = RowSource(replace(self.live, key=columns), self.entity.projection)
        with errors_explained(f"read {source.table}"):
            async with pool.acquire() as connection:
                records = await _records(connection, source, list(dict.fromkeys(keys)))
        rows: dict[Key, list[Row]] = defaultdict(list)
        for record in records:
            if record is not None:
                rows[source.key_of(record)].append(dict(zip(self._names, record, strict=False)))
        return rows


async def _records(connection: Connection, source: RowSource, keys: Sequence[Key]) -> list[Record | None]:
    """The records of these keys, and none for one that the columns cannot hold: any text may stand in a stray's key."""
    try:
        return await source.by_keys(connection, keys)
    except UsageError:
        if len(keys) == 1:
            return []
        middle = len(keys) // 2
        return [*await _records(connection, source, keys[:middle]), *await _records(connection, source, keys[middle:])]
