"""The two passes: what every row says of its items, and what every item says, each spilled as key and digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.scan import scan
from migrator.engines.verify.findings import Difference, Verdict
from migrator.mapping import ItemWitness, RowWitness, Unencodable
from migrator.postgres.errors import errors_explained

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.dynamodb.pages import Page
    from migrator.engines.verify.findings import Report
    from migrator.engines.verify.reading.spill import Spiller
    from migrator.engines.verify.reading.tasks import Segment
    from migrator.mapping import Entity, Table, WireItem
    from migrator.postgres.connection import Pool, Record
    from migrator.postgres.rows import Key, RowSource

_PAGE_ROWS: Final = 1_000
_FIRST_ROWS: Final = 50
"""Rows of the pages that are read before it is known how large rows are."""
_PAGE_BYTES: Final = 4_000_000
"""Of what a page's rows say, about: memory stays bounded where rows are large."""
_SIZED: Final = 8
"""One item in so many shows how large they are."""
LED_BACK: Final = 1024
"""One row in so many, from the first on, is led back from its items in full: the witnesses compare values, and that a
key template gives its columns back is a property of the mapping, not of a row (lint holds it to be so)."""


class SourcePass:
    """Reads a table's rows and spills what each says of its items."""

    def __init__(self, entity: Entity, source: RowSource, report: Report, spill: Spiller, now: int) -> None:
        self.entity = entity
        self._source = source
        self._report = report
        self._spill = spill
        self._now = now
        self._seen = 0
        self._page_rows = _FIRST_ROWS
        self._witness = RowWitness(entity, trailing=len(source.key_columns))

    async def range(self, pool: Pool, after: Key | None, until: Key | None, moved: Callable[[Key], None]) -> None:
        """Reads the rows whose keys are in (`after`, `until`], None being no bound; `moved` is told how far it is."""
        while True:
            rows = self._page_rows
            with errors_explained(f"read {self._source.table}"):
                async with pool.acquire() as connection:
                    page = await self._source.page(connection, after, until, rows)
            self._take(page.records)
            if len(page.records) < rows or page.last is None:
                return
            after = page.last
            moved(after)

    def _take(self, records: Sequence[Record]) -> None:
        heard = self._witness.testify(records, self._now)
        self._spill.add("source", heard.testimonies)
        name, report = self.entity.source_name, self._report
        report.items[name] = report.items.get(name, 0) + len(heard.testimonies)
        report.past[name] = report.past.get(name, 0) + heard.expired
        failures = {self._source.key_of(record): reason for record, reason in heard.failures}
        for record in records[-self._seen % LED_BACK :: LED_BACK]:
            reason = self._loss(record)
            if reason is not None:
                failures.setdefault(self._source.key_of(record), reason)
        for key, reason in failures.items():
            self._unverifiable(key, reason)
        if records:
            said = _SIZED * sum(len(testimony) for _, testimony in heard.testimonies[::_SIZED])
            self._page_rows = min(_PAGE_ROWS, max(1, _PAGE_BYTES * len(records) // max(1, said)))
        self._seen += len(records)
        report.rows[name] = self._seen

    def _loss(self, record: Record) -> str | None:
        """Why a row does not come back from its items, if it has any and does not."""
        try:
            return self._witness.loss(record, self._now)
        except Unencodable:
            # Said already, unless the row is past its TTL.
            return None

    def _unverifiable(self, key: Key, reason: str) -> None:
        self._report.found(
            Difference(
                Verdict.UNVERIFIABLE,
                self.entity.table.name,
                self._source.named_key(key),
                self.entity.name,
                key,
                reason=reason,
            )
        )


class TargetPass:
    """Scans a table and spills what every item that is there says. `entities` are all whose items stand in it."""

    def __init__(self, table: Table, entities: Sequence[Entity], report: Report, spill: Spiller, now: int) -> None:
        self.table = table
        self._report = report
        self._spill = spill
        self._now = now
        self._witness = ItemWitness(table, entities)

    async def segment(self, client: Client, pace: Pace, segment: Segment, moved: Callable[[WireItem], None]) -> None:
        """Reads a segment, from where it says; `moved` is told after which key to go on."""
        async for page in segment_pages(client, pace, segment, self._witness):
            self._report.read_units += page.consumed
            self._report.items_scanned += len(page.items)
            self._spill.add("target", self._witness.testify(page.items, self._now))
            if page.last_key is not None:
                moved(page.last_key)


def segment_pages(client: Client, pace: Pace, segment: Segment, witness: ItemWitness) -> AsyncIterator[Page[Any]]:
    """The pages of a segment, from where it says; items in the form in which the witness hears them."""
    # Half the read units: what was not yet seen is judged by a consistent read.
    return scan(
        client,
        segment.table,
        segment=segment.number,
        total_segments=segment.total,
        consistent=False,
        start_key=segment.start,
        pace=pace,
        form=witness.form,
    )
