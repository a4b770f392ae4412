"""The two passes: every row's items as they should be, and every item as it is, each reduced to key and digest."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.scan import scan
from migrator.engines.verify.canonical import digest, key_line
from migrator.engines.verify.findings import Difference, Verdict
from migrator.mapping import Inverse, Unencodable, differing_columns, expiry, forward
from migrator.mapping.errors import Undecodable
from migrator.postgres.errors import errors_explained

if TYPE_CHECKING:
    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.engines.verify.findings import Report
    from migrator.engines.verify.spill import Spill
    from migrator.mapping import Entity, Row, Table, WireItem
    from migrator.postgres.connection import Pool
    from migrator.postgres.rows import Key, RowSource

_PAGE_ROWS: Final = 500


class SourcePass:
    """Reads a table's rows and spills the items that each should be.

    A row is also led back from its items: a mapping that loses something is found even where both sides agree.
    """

    def __init__(self, entity: Entity, source: RowSource, report: Report, spill: Spill, now: int) -> None:
        self.entity = entity
        self._source = source
        self._report = report
        self._spill = spill
        self._now = now
        self._inverse = Inverse(entity)
        self._names = [projected.name for projected in entity.projection]
        self._key_names = [key.name for key in entity.table.key_attributes]

    async def run(self, pool: Pool) -> None:
        """Reads the whole table."""
        after: Key | None = None
        while True:
            with errors_explained(f"read {self._source.table}"):
                async with pool.acquire() as connection:
                    page = await self._source.page(connection, after, None, _PAGE_ROWS)
            for record in page.records:
                self._row(dict(zip(self._names, record, strict=False)), self._source.key_of(record))
            count = self._report.rows.get(self.entity.source_name, 0)
            self._report.rows[self.entity.source_name] = count + len(page.records)
            if len(page.records) < _PAGE_ROWS:
                return
            after = page.last

    def _row(self, row: Row, key: Key) -> None:
        try:
            items = forward(self.entity, row)
            until = expiry(self.entity.plan, row)
        except Unencodable as error:
            self._unverifiable(key, error.why)
            return
        if until is not None and until <= self._now:
            self._report.expired += 1
            return
        reason = self._returns(row, items)
        if reason is not None:
            self._unverifiable(key, reason)
        self._report.items_expected += len(items)
        for item in items:
            self._spill.add("source", key_line(item, self._key_names), digest(item))

    def _returns(self, row: Row, items: list[WireItem]) -> str | None:
        """Why the row does not come back from its items, if it does not."""
        try:
            differing = differing_columns(self.entity, row, self._inverse.row(items))
        except Undecodable as error:
            return f"the inverse fails at {error.where}: {error.reason}"
        return f"the inverse gives another value of {', '.join(differing)}" if differing else None

    def _unverifiable(self, key: Key, reason: str) -> None:
        self._report.differences.append(
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
    """Scans a table and spills every item that is there."""

    def __init__(self, table: Table, report: Report, spill: Spill, now: int) -> None:
        self.table = table
        self._report = report
        self._spill = spill
        self._now = now
        self._key_names = [key.name for key in table.key_attributes]

    async def run(self, client: Client, pace: Pace, segments: int) -> None:
        """Reads the whole table, `segments` at a time."""
        async with asyncio.TaskGroup() as group:
            for segment in range(segments):
                group.create_task(self._segment(client, pace, segment, segments))

    async def _segment(self, client: Client, pace: Pace, segment: int, segments: int) -> None:
        # Half the read units: what was not yet seen is judged by a consistent read.
        pages = scan(client, self.table.name, segment=segment, total_segments=segments, consistent=False, pace=pace)
        async for page in pages:
            self._report.read_units += page.consumed
            self._report.items_scanned += len(page.items)
            for item in page.items:
                if not self._counts(item):
                    continue
                self._spill.add("target", key_line(item, self._key_names), digest(item))

    def _counts(self, item: dict[str, Any]) -> bool:
        """Whether an item takes part: a tombstone does not, nor does one past its TTL."""
        if "_del" in item:
            return False
        until = item.get(self.table.ttl, {}).get("N") if self.table.ttl is not None else None
        return until is None or not past(until, self._now)


def past(until: str, now: int) -> bool:
    """Whether a TTL, as its Number's text, has been reached."""
    try:
        return float(until) <= now
    except ValueError:
        return False
