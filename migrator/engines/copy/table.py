"""One table of a copy: how its rows are read, encoded and written, and where its progress is kept."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.engines.copy.progress import Settled
from migrator.mapping import Encoder, claims
from migrator.postgres import marks
from migrator.postgres.checkpoints import Counts
from migrator.postgres.errors import errors_explained
from migrator.postgres.marks import SetAside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.dynamodb.batches import BatchWriter, Refused, Written
    from migrator.mapping import Encoded, Entity
    from migrator.postgres.checkpoints import CopyLog, Range
    from migrator.postgres.connection import Pool
    from migrator.postgres.rows import Key, RowSource

PAGE_ROWS: Final = 500
_WRITES_IN_FLIGHT: Final = 2
"""Pages of one range that may be on their way at once: one is written while the next is read and encoded."""


@dataclass(slots=True)
class _Page:
    """A page on its way: what it is made of, and the writing of its items."""

    last: Key | None
    rows: int
    encoded: Encoded
    writing: asyncio.Task[Written]
    done: bool


class TableCopy:
    """Copies ranges of one table.

    Args:
        entity: the mapping of the table's rows.
        source: the table's rows.
        log: the table's checkpoint.
        pool: sessions to read with.
        writer: where items go.
        now: the time in Unix seconds, by PostgreSQL's clock; rows expired by then are left out.
    """

    def __init__(
        self,
        entity: Entity,
        source: RowSource,
        *,
        log: CopyLog,
        pool: Pool,
        writer: BatchWriter,
        now: Callable[[], int],
    ) -> None:
        self.entity = entity
        self.log = log
        self._source = source
        self._pool = pool
        self._writer = writer
        self._now = now
        self._encoder = Encoder(entity, trailing=len(source.key_columns))

    async def copy_range(self, at: Range, settled: Callable[[Settled, Written], None]) -> None:
        """Copies what is left of a range; `settled` is told of each page.

        Raises:
            MigratorError: a store failed, or the checkpoint was changed by another run. What is settled stays.
        """
        await self.log.sending(at.number)
        after = at.after
        pending: deque[_Page] = deque()
        try:
            done = False
            while not done:
                page = await self._start(after, at.upper)
                pending.append(page)
                after, done = page.last, page.done
                while pending and (done or len(pending) >= _WRITES_IN_FLIGHT):
                    at = await self._settle(at, pending[0], settled)
                    pending.popleft()
        finally:
            for page in pending:
                page.writing.cancel()
            await asyncio.gather(*(page.writing for page in pending), return_exceptions=True)

    async def _start(self, after: Key | None, until: Key | None) -> _Page:
        """Reads and encodes a page, and begins to write it."""
        with errors_explained(f"read {self.log.source}"):
            async with self._pool.acquire() as connection:
                page = await self._source.page(connection, after, until, PAGE_ROWS)
        encoded = self._encoder.encode(page.records, self._now())
        writing = asyncio.create_task(self._writer.write(encoded.items))
        return _Page(page.last, len(page.records), encoded, writing, len(page.records) < PAGE_ROWS)

    async def _settle(self, at: Range, page: _Page, settled: Callable[[Settled, Written], None]) -> Range:
        """Waits until a page is written and records it."""
        written = await page.writing
        aside = self._set_aside(page.encoded, written.refused)
        counts = Counts(page.rows, written.items, page.encoded.expired, len(aside))
        moved = await self.log.settle(at, page.last, counts, set_aside=aside, done=page.done)
        settled(Settled(self.entity.source_name, counts), written)
        return moved

    def _set_aside(self, encoded: Encoded, refused: Sequence[Refused]) -> list[SetAside]:
        """The rows of a page that have no items, each with its reason."""
        aside = {
            self._source.key_of(record): failure.why
            for record, failure in zip(encoded.failed, encoded.failures, strict=True)
        }
        for item in refused:
            key = self._owner(orjson.loads(item.item))
            aside[key] = f"DynamoDB refused an item of the row ({item.code})"
        return [SetAside(self._source.named_key(key), reason) for key, reason in aside.items()]

    def _owner(self, item: dict[str, Any]) -> Key:
        for claim in claims([self.entity], item):
            if claim.row_key is not None:
                return claim.row_key
        return tuple("?" for _ in self._source.key_columns)

    async def retry_set_aside(self) -> Counts:
        """Tries again the rows that earlier runs have set aside; returns what became of them."""
        total = Counts()
        with errors_explained(f"read {self.log.source}"):
            async with self._pool.acquire() as connection:
                waiting = await marks.set_aside(connection, self.log.source, limit=100_000)
                for mark in waiting:
                    if mark.operation == "copy" and mark.row_key is not None:
                        total += await self._retry(connection, mark.id, mark.row_key)
        return total

    async def _retry(self, connection: Any, mark: int, row_key: Any) -> Counts:  # noqa: ANN401 - asyncpg has no types
        key = tuple(row_key[name] for name in self._source.key_columns)
        (record,) = await self._source.by_keys(connection, [key])
        if record is None:
            await marks.clear(connection, mark)
            return Counts()
        encoded = self._encoder.encode([record], self._now())
        written = await self._writer.write(encoded.items)
        if encoded.failures or written.refused:
            return Counts(rows=1, set_aside=1)
        await marks.clear(connection, mark)
        return Counts(rows=1, items=written.items, expired=encoded.expired)
