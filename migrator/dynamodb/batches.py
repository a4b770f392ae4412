"""Writing many items: BatchWriteItem with items that are JSON text already.

A request's body is joined from the items' text, so no item is taken apart on its way. What DynamoDB leaves unprocessed
is sent again; what it refuses is found by halving the request and reported, and the other items are written.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.errors import GaveUpError, InvalidRequestError
from migrator.dynamodb.pacing import UNLIMITED, Pace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.dynamodb.client import Client

_ITEMS_PER_REQUEST: Final = 25
# DynamoDB takes 16 MB a request. A character is at most four bytes, so this many need no counting of bytes.
_CHARACTERS_PER_REQUEST: Final = 4_000_000
_BETWEEN_ITEMS: Final = b'}},{"PutRequest":{"Item":'
_END: Final = b"}}]}}"
_BYTES_PER_WRITE_UNIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that DynamoDB does not take: its JSON text, the error's code, and DynamoDB's own words."""

    item: str
    code: str
    message: str


@dataclass(slots=True)
class Written:
    """What became of a number of items.

    `items` were written, by `requests` requests, for `consumed` write units (indexes included); `unprocessed_retries`
    requests were made again for items that DynamoDB had left unprocessed.
    """

    items: int = 0
    requests: int = 0
    consumed: float = 0.0
    unprocessed_retries: int = 0
    refused: list[Refused] = field(default_factory=list)


class BatchWriter:
    """Puts items into one table, several requests at a time.

    Args:
        client: the client to write through.
        table_name: the table.
        pace: the write units that may be consumed per second, shared by all that were given it.
        index_share: write units that the indexes consume per unit of the table, for the first estimate; DynamoDB's own
            figure corrects it.
    """

    def __init__(self, client: Client, table_name: str, *, pace: Pace = UNLIMITED, index_share: float = 0.0) -> None:
        self._client = client
        self._table_name = table_name
        self._pace = pace
        self._units_per_unit = 1.0 + index_share
        self._opening = (
            f'{{"ReturnConsumedCapacity":"TOTAL","RequestItems":{{"{table_name}":[{{"PutRequest":{{"Item":'.encode()
        )

    async def write(self, items: Sequence[str], *, deadline: float | None = None) -> Written:
        """Writes every item that DynamoDB takes, over whatever its key holds.

        Args:
            items: JSON text of one item each, `{"PK":{"S":"USER#1"},...}`, with keys that differ from each other.
            deadline: a moment of the running loop's `time()` after which nothing is sent; where none is given, attempts
                end when nothing has been written for the client's `patience`.

        Raises:
            GaveUpError: items were still not written at the deadline. Which is not known; writing all again is safe.
            MigratorError: any other failure that concerns more than single items (see `Client.call`).
        """
        written = Written()
        batches = _batches(items)
        workers = min(self._client.max_in_flight, -(-len(items) // _ITEMS_PER_REQUEST))
        tasks = [asyncio.create_task(self._work(batches, written, deadline)) for _ in range(workers)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return written

    async def _work(self, batches: Iterator[Sequence[str]], written: Written, deadline: float | None) -> None:
        for batch in batches:
            await self._put(batch, written, deadline)

    async def _put(self, items: Sequence[str], written: Written, deadline: float | None) -> None:
        """Writes one batch; a batch that is refused is written by halves, down to the items that are at fault."""
        try:
            await self._settle(items, written, deadline)
        except _BatchRefusedError as refusal:
            if len(refusal.items) == 1:
                written.refused.append(Refused(refusal.items[0], refusal.error.code, refusal.error.message))
                return
            middle = len(refusal.items) // 2
            await self._put(refusal.items[:middle], written, deadline)
            await self._put(refusal.items[middle:], written, deadline)

    async def _settle(self, items: Sequence[str], written: Written, deadline: float | None) -> None:
        """Sends items, and again those left unprocessed, until none is left."""
        patience = self._client.patience(deadline)
        while True:
            try:
                left = await self._send(items, written, patience.deadline)
            except InvalidRequestError as error:
                raise _BatchRefusedError(items, error) from error
            if not left:
                return
            if len(left) < len(items):
                patience = self._client.patience(deadline)
            if not await patience.pause():
                raise GaveUpError(
                    f"BatchWriteItem on table {self._table_name} left {len(left)} items unprocessed for "
                    f"{patience.seconds:.1f} s (attempts: {patience.attempts})",
                    safe="items already written stay, and are written again with the same values",
                    next_step="lower `--max-wcu` or raise the table's write capacity, then run the command again",
                )
            written.unprocessed_retries += 1
            items = left

    async def _send(self, items: Sequence[str], written: Written, deadline: float) -> list[str]:
        """One request; returns the items that DynamoDB left unprocessed."""
        estimate = 0.0
        if self._pace.max_units is not None:
            estimate = self._units_per_unit * sum(-(-len(item) // _BYTES_PER_WRITE_UNIT) for item in items)
            await self._pace.reserve(estimate)
        # Encoded one by one: joined first, one character beyond ASCII would widen the text of all.
        body = b"".join((self._opening, _BETWEEN_ITEMS.join([item.encode() for item in items]), _END))
        answer = await self._client.call("BatchWriteItem", body, table=self._table_name, deadline=deadline)
        consumed = _consumed(answer, estimate)
        self._pace.settle(estimate, consumed)
        left = _unprocessed(answer, self._table_name)
        written.requests += 1
        written.consumed += consumed
        written.items += len(items) - len(left)
        return left


class _BatchRefusedError(Exception):
    """A request that DynamoDB refused for one of its items."""

    def __init__(self, items: Sequence[str], error: InvalidRequestError) -> None:
        super().__init__(error.what)
        self.items = items
        self.error = error


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    """The items in the portions that one request may carry."""
    for start in range(0, len(items), _ITEMS_PER_REQUEST):
        batch = items[start : start + _ITEMS_PER_REQUEST]
        if sum(map(len, batch)) <= _CHARACTERS_PER_REQUEST:
            yield batch
        else:
            # Items this large are few, and a request each costs little beside their bytes.
            yield from ([item] for item in batch)


def _consumed(answer: dict[str, Any], estimate: float) -> float:
    tables = answer.get("ConsumedCapacity")
    return sum(float(table["CapacityUnits"]) for table in tables) if tables else estimate


def _unprocessed(answer: dict[str, Any], table_name: str) -> list[str]:
    requests = answer.get("UnprocessedItems", {}).get(table_name, [])
    return [orjson.dumps(request["PutRequest"]["Item"]).decode() for request in requests]
