"""One table of a copy: how its rows are read, encoded and written, and where its progress is kept."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.errors import TooSlowError
from migrator.dynamodb.versions import versioned
from migrator.engines.copy.progress import Settled
from migrator.mapping import Encoder
from migrator.postgres import marks, phases
from migrator.postgres.checkpoints import Counts
from migrator.postgres.errors import errors_explained
from migrator.postgres.marks import SetAside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.dynamodb.batches import BatchWriter, Refused, Written
    from migrator.engines.copy.brake import Brake
    from migrator.mapping import Encoded, Entity
    from migrator.postgres.checkpoints import CopyLog, Range
    from migrator.postgres.connection import Connection, Pool, Record
    from migrator.postgres.rows import Key, RowSource

PAGE_ROWS: Final = 1_000
_PAGE_BYTES: Final = 8_000_000
"""Of the items of a page, about: memory stays bounded where rows are large."""
_FIRST_ROWS: Final = 50
"""Rows of the pages that are read before it is known what the target takes."""
_PAGE_SECONDS: Final = 4.0
"""A page holds what the target takes in this time at most. About eight pages share it, so that each is written within
half a minute, far from its deadline."""
_PAGES_IN_FLIGHT: Final = 6
"""Pages of one range that may be on their way at once: one is read while another is sent, and others are answered."""


@dataclass(slots=True)
class _Page:
    """A page on its way: what it is made of, and the writing of its items."""

    last: Key | None
    records: Sequence[Record]
    encoded: Encoded
    deadline: float
    writing: asyncio.Task[Written]
    begun: asyncio.Event
    done: bool

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return len(self.records)


class TableCopy:
    """Copies ranges of one table.

    In phase `prepare` it writes items without a version over whatever their keys hold. Beside relays and mirrors, each
    item has a version, and is put where nothing is: what stands there is newer, or a tombstone, or as new.

    Args:
        entity: the mapping of the table's rows.
        source: the table's rows.
        log: the table's checkpoint.
        pool: sessions to read with.
        writer: where items go.
        now: the time in Unix seconds, by PostgreSQL's clock; rows expired by then are left out.
        request_seconds: how long after rows were read their items may be sent; what is left then is read again. It is
            counted from the last time that the checkpoint has noted that something is about to be sent, which is before
            the rows are read: so what is on record bounds how long anything can still be under way.
        brake: whether pages may be begun.
    """

    def __init__(  # noqa: PLR0913 - the parts of a table's copy
        self,
        entity: Entity,
        source: RowSource,
        *,
        log: CopyLog,
        pool: Pool,
        writer: BatchWriter,
        now: Callable[[], int],
        request_seconds: float,
        brake: Brake,
    ) -> None:
        self.entity = entity
        self.log = log
        self._source = source
        self._pool = pool
        self._writer = writer
        self._now = now
        self._request_seconds = request_seconds
        self._brake = brake
        self._most_rows = PAGE_ROWS
        self._rows = self._items = self._bytes = 0
        self._encoder = Encoder(entity, trailing=len(source.key_columns))

    async def copy_range(self, at: Range, settled: Callable[[Settled, Written], None]) -> None:
        """Copies what is left of a range; `settled` is told of each page.

        Raises:
            MigratorError: a store failed, or the checkpoint was changed by another run. What is settled stays.
        """
        sending = await self._announce(at.number)
        after = at.after
        pending: deque[_Page] = deque()
        try:
            done = False
            while not done:
                if self._brake.is_on and not pending:
                    await self._brake.released()
                    sending = await self._announce(at.number)
                if not self._brake.is_on:
                    page = await self._start(after, at.upper, sending)
                    pending.append(page)
                    after, done = page.last, page.done
                await _sent(pending)
                while pending and (
                    done or self._brake.is_on or pending[0].writing.done() or len(pending) >= _PAGES_IN_FLIGHT
                ):
                    try:
                        at, sending = await self._settle(at, pending[0], settled)
                        pending.popleft()
                    except TooSlowError:
                        self._read_less(pending[0])
                        await _give_up(pending)
                        sending = await self._announce(at.number)
                        after, done = at.after, False
        finally:
            await _give_up(pending)

    def _read_less(self, page: _Page) -> None:
        """A page could not be written by its deadline: from here on pages are smaller, if that can be.

        Raises:
            TooSlowError: it was of a single row.
        """
        if page.rows <= 1:
            page.writing.result()
        self._most_rows = max(1, page.rows // 2)

    def _page_rows(self) -> int:
        """How many rows to read: at most what the target takes in time."""
        if not self._items:
            return min(_FIRST_ROWS, self._most_rows)
        rows = int(self._writer.items_within(_PAGE_SECONDS) * self._rows / self._items)
        return max(1, min(rows, _PAGE_BYTES * self._rows // max(1, self._bytes), self._most_rows))

    async def _start(self, after: Key | None, until: Key | None, sending: float) -> _Page:
        """Reads and encodes a page, and begins to write it."""
        with errors_explained(f"read {self.log.source}"):
            async with self._pool.acquire() as connection:
                rows, version = self._page_rows(), await self._version(connection)
                page = await self._source.page(connection, after, until, rows)
        encoded = self._encoder.encode(page.records, self._now())
        deadline = sending + self._request_seconds
        begun = asyncio.Event()
        write = self._writer.write(_with(encoded.items, version), deadline=deadline, begun=begun)
        writing = asyncio.create_task(write)
        # One that fails before all was sent is waited for no longer either.
        writing.add_done_callback(lambda _: begun.set())
        return _Page(page.last, page.records, encoded, deadline, writing, begun, len(page.records) < rows)

    async def _announce(self, number: int) -> float:
        """Notes that something is about to be sent; returns the moment from which its deadline is counted."""
        now = asyncio.get_running_loop().time()
        await self.log.sending(number)
        return now

    async def _version(self, connection: Connection) -> int | None:
        """The version of items that are put beside relays and mirrors."""
        if self.log.phase == "prepare":
            return None
        return (await phases.moment(connection, self.log.model)).version

    async def _settle(self, at: Range, page: _Page, settled: Callable[[Settled, Written], None]) -> tuple[Range, float]:
        """Waits until a page is written and records it; returns the range as it is, and when more may be sent from."""
        written = await page.writing
        aside = self._set_aside(page, written.refused)
        counts = Counts(page.rows, written.items + written.present, page.encoded.expired, len(aside))
        now = asyncio.get_running_loop().time()
        moved = await self.log.settle(at, page.last, counts, set_aside=aside, done=page.done)
        settled(Settled(self.entity.source_name, counts), written)
        self._rows += page.rows
        self._items += counts.items
        self._bytes += sum(map(len, page.encoded.items))
        if page.deadline - asyncio.get_running_loop().time() > self._request_seconds / 2:
            self._most_rows = min(2 * self._most_rows, PAGE_ROWS)
        return moved, now

    def _set_aside(self, page: _Page, refused: Sequence[Refused]) -> list[SetAside]:
        """The rows of a page that have no items, each with its reason."""
        aside = {
            self._source.key_of(record): failure.why
            for record, failure in zip(page.encoded.failed, page.encoded.failures, strict=True)
        }
        codes = {self._item_key(item.item): item.code for item in refused}
        for record in page.records if codes else ():
            for item in self._encoder.encode([record]).items:
                code = codes.get(self._item_key(item))
                if code is not None:
                    aside[self._source.key_of(record)] = f"DynamoDB refused an item of the row ({code})"
        return [SetAside(self._source.named_key(key), reason) for key, reason in aside.items()]

    def _item_key(self, text: bytes) -> bytes:
        """The key attributes of an item's JSON text, the same for equal items."""
        item = orjson.loads(text)
        return orjson.dumps([item[attribute.name] for attribute in self.entity.table.key_attributes])

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
        deadline = await self._announce(1) + self._request_seconds
        version = await self._version(connection)
        (record,) = await self._source.by_keys(connection, [key])
        if record is None:
            await marks.clear(connection, mark)
            return Counts()
        encoded = self._encoder.encode([record], self._now())
        written = await self._writer.write(_with(encoded.items, version), deadline=deadline)
        if encoded.failures or written.refused:
            return Counts(rows=1, set_aside=1)
        await marks.clear(connection, mark)
        return Counts(rows=1, items=written.items + written.present, expired=encoded.expired)


def _with(items: Sequence[bytes], version: int | None) -> Sequence[bytes]:
    return items if version is None else [versioned(item, version) for item in items]


async def _sent(pages: deque[_Page]) -> None:
    """Waits until of all but the last page nothing is still to be sent: what is read ahead only grows old."""
    if len(pages) > 1:
        await pages[-2].begun.wait()


async def _give_up(pages: deque[_Page]) -> None:
    """Stops writing these pages."""
    for page in pages:
        page.writing.cancel()
    await asyncio.gather(*(page.writing for page in pages), return_exceptions=True)
    pages.clear()
