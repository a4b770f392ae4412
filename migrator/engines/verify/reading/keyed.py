"""The passes of a verification that does not look at everything: rows with their items, and items with their rows.

Rows are read as they are otherwise; their items are read by key, which takes less than a scan while they are few. Extra
items are looked for in some segments of a scan, each item beside the row that could own it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.items import batch_read
from migrator.engines.verify.reading.passes import SourcePass, segment_pages
from migrator.mapping import ItemWitness, RowWitness, claims
from migrator.mapping.testimony import key_of_line
from migrator.postgres.errors import errors_explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.engines.verify.findings import Report
    from migrator.engines.verify.reading.spill import Spiller
    from migrator.engines.verify.reading.tasks import Segment
    from migrator.mapping import Entity, Row, Table, WireItem
    from migrator.postgres.connection import Pool
    from migrator.postgres.rows import Key, RowSource
    from migrator.reconcile import Lookup

_PAGE_ROWS: Final = 100
_KEYS_AT_ONCE: Final = 100


class KeyedPass(SourcePass):
    """Reads rows, and the items that they should be, and spills what both say.

    Args:
        entity: the entity.
        source: its rows, as many as are looked at.
        report: takes the counts.
        spill: takes what is said.
        now: the time in Unix seconds, by PostgreSQL's clock.
        items: the witness of the table.
        client: the target.
        pace: the table's read units per second.
    """

    def __init__(  # noqa: PLR0913 - both sides
        self,
        entity: Entity,
        source: RowSource,
        report: Report,
        spill: Spiller,
        now: int,
        *,
        items: ItemWitness,
        client: Client,
        pace: Pace,
    ) -> None:
        super().__init__(entity, source, report, spill, now)
        self._items = items
        self._client = client
        self._pace = pace

    async def range(self, pool: Pool, after: Key | None, until: Key | None, moved: Callable[[Key], None]) -> None:
        """As in `SourcePass`."""
        while True:
            with errors_explained(f"read {self._source.table}"):
                async with pool.acquire() as connection:
                    page = await self._source.page(connection, after, until, _PAGE_ROWS)
            lines = [line for line, _ in self._witness.testify(page.records, self._now).testimonies]
            items = await self._read(list(dict.fromkeys(lines)))
            # Both sides at once: what is saved of how far it is never lies between them.
            self._take(page.records)
            self._report.items_scanned += len(items)
            self._spill.add("target", self._items.testify(items, self._now))
            if len(page.records) < _PAGE_ROWS or page.last is None:
                return
            after = page.last
            moved(after)

    async def _read(self, lines: Sequence[bytes]) -> list[WireItem]:
        found: list[WireItem] = []
        for start in range(0, len(lines), _KEYS_AT_ONCE):
            keys = [
                key_of_line(line, self.entity.table.key_attributes) for line in lines[start : start + _KEYS_AT_ONCE]
            ]
            page = await batch_read(self._client, self.entity.table.name, keys, consistent=False, pace=self._pace)
            self._report.read_units += page.consumed
            found += page.items
        return found


class OwnedPass:
    """Scans segments, and spills what items say where their rows do not say the same.

    Args:
        table: the table.
        entities: all whose items stand in it.
        lookups: the rows of those that are verified.
        report: takes the counts.
        spill: takes what is said.
        now: the time in Unix seconds, by PostgreSQL's clock.
        pool: sessions on the source.
    """

    def __init__(  # noqa: PLR0913 - both sides
        self,
        table: Table,
        entities: Sequence[Entity],
        lookups: Iterable[Lookup],
        report: Report,
        spill: Spiller,
        *,
        now: int,
        pool: Pool,
    ) -> None:
        self.table = table
        self._lookups = {lookup.entity.name: lookup for lookup in lookups}
        self._verified = [lookup.entity for lookup in self._lookups.values()]
        self._report = report
        self._spill = spill
        self._now = now
        self._pool = pool
        self._items = ItemWitness(table, entities)
        self._rows = {name: RowWitness(lookup.entity) for name, lookup in self._lookups.items()}

    async def segment(self, client: Client, pace: Pace, segment: Segment, moved: Callable[[WireItem], None]) -> None:
        """As in `TargetPass`."""
        async for page in segment_pages(client, pace, segment, self._items):
            said = self._items.testify(page.items, self._now)
            by_rows = await self._said_by_rows([line for line, _ in said])
            unlike = [(line, testimony) for line, testimony in said if by_rows.get(line) != testimony]
            self._report.read_units += page.consumed
            self._report.items_scanned += len(page.items)
            self._spill.add("target", unlike)
            self._spill.add("source", [(line, by_rows[line]) for line, _ in unlike if line in by_rows])
            if page.last_key is not None:
                moved(page.last_key)

    async def _said_by_rows(self, lines: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """What the rows that could own these keys say of them."""
        wanted: dict[str, dict[tuple[object, ...], Row]] = defaultdict(dict)
        for line in lines:
            for claim in claims(self._verified, key_of_line(line, self.table.key_attributes)):
                wanted[claim.entity.name][tuple(claim.values.values())] = claim.values
        said: dict[bytes, bytes] = {}
        for name, values in wanted.items():
            every = list(values.values())
            for start in range(0, len(every), _KEYS_AT_ONCE):
                found = await self._lookups[name].read(self._pool, every[start : start + _KEYS_AT_ONCE])
                names = [projected.name for projected in self._lookups[name].entity.projection]
                rows = [[row[each] for each in names] for some in found for row in some]
                said |= dict(self._rows[name].testify(rows, self._now).testimonies)
        return said
