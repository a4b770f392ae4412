"""Writing many items: BatchWriteItem with items that are JSON text already.

A request's body is joined from the items' text, so no item is taken apart on its way. What DynamoDB leaves unprocessed
is sent again; what it refuses is found by halving the request and reported, and the other items are written.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.errors import GaveUpError, InvalidRequestError, ThrottledError, TooSlowError
from migrator.dynamodb.lanes import Group, Lanes
from migrator.dynamodb.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator, Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.errors import Throttle
    from migrator.dynamodb.lanes import Layout
    from migrator.dynamodb.retry import Patience

_ITEMS_PER_REQUEST: Final = 25
_IN_FLIGHT: Final = 16
"""Requests of one call under way at once. Several calls share the client's; what they would only queue costs a task."""
# DynamoDB takes 16 MB a request.
_BYTES_PER_REQUEST: Final = 15_000_000
_BETWEEN_ITEMS: Final = b'}},{"PutRequest":{"Item":'
_END: Final = b"}}]}}"
_BYTES_PER_WRITE_UNIT: Final = 1024
_REQUEST_SECONDS: Final = 0.5
_SAFE: Final = "items already written stay, and are written again with the same values"
_NEXT_STEP: Final = "raise the table's write capacity or lower `--max-wcu`, then run the command again"
_WEIGHT: Final = 0.1
"""Of the latest request in what is known of all: what items consume changes from page to page, not at every request."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that DynamoDB does not take: its JSON text, the error's code, and DynamoDB's own words."""

    item: bytes
    code: str
    message: str


@dataclass(slots=True)
class Written:
    """What became of a number of items.

    `items` were written, by `requests` requests, for `consumed` write units (indexes included); of `present` others the
    keys held something already, which was left (`InsertWriter`); `unprocessed_retries` requests were made again for
    items that DynamoDB had left unprocessed.
    """

    items: int = 0
    present: int = 0
    requests: int = 0
    consumed: float = 0.0
    unprocessed_retries: int = 0
    refused: list[Refused] = field(default_factory=list)


@dataclass(slots=True)
class Job:
    """One call of `write`: when it began, until when it may send, what became of its items, and the last refusal."""

    began: float
    deadline: float
    written: Written = field(default_factory=Written)
    throttled: ThrottledError | None = None


class BatchWriter:
    """Puts items into one table, several requests at a time, at the pace that the table takes.

    Args:
        client: the client to write through.
        table_name: the table.
        pace: the table's write units per second, shared by all that were given it.
        index_share: write units that the indexes consume per unit of the table, for the first estimate; DynamoDB's own
            figure corrects it.
        layout: the table's keys, by which an index or a key that is throttled slows only its own items.
    """

    operation = "BatchWriteItem"

    def __init__(
        self,
        client: Client,
        table_name: str,
        *,
        pace: Pace | None = None,
        index_share: float = 0.0,
        layout: Layout | None = None,
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._pace = pace or Pace()
        self._lanes = Lanes(layout, self._pace)
        self._units_per_guess = self._units_per_item = 1.0 + index_share
        self._accepted_at = float("-inf")
        self._asking = False
        self._opening = (
            f'{{"ReturnConsumedCapacity":"TOTAL","RequestItems":{{"{table_name}":[{{"PutRequest":{{"Item":'.encode()
        )

    def items_within(self, seconds: float) -> int:
        """About how many items the table takes in this time, as far as its pace is known yet."""
        return int(self._pace.rate * seconds / self._units_per_item)

    async def write(
        self, items: Sequence[bytes], *, deadline: float | None = None, begun: asyncio.Event | None = None
    ) -> Written:
        """Writes every item that DynamoDB takes, over whatever its key holds.

        Args:
            items: JSON text of one item each, `{"PK":{"S":"USER#1"},...}`, with keys that differ from each other.
            deadline: a moment of the running loop's `time()` after which nothing is sent. In any case attempts end when
                the table has taken nothing for the client's `patience`.
            begun: is set when no item waits to be sent for the first time, so that others may be.

        Raises:
            TooSlowError: the deadline passed while the table still took items.
            GaveUpError: items were still not written. Which is not known; writing all again is safe.
            MigratorError: any other failure that concerns more than single items (see `Client.call`).
        """
        loop = asyncio.get_running_loop()
        job = Job(loop.time(), float("inf") if deadline is None else deadline)
        portions = self._portions(items)
        workers = min(_IN_FLIGHT, self._client.max_in_flight, -(-len(items) // _ITEMS_PER_REQUEST))
        try:
            await _side_by_side(self._work(portions, job, begun or asyncio.Event()) for _ in range(workers))
        except GaveUpError as error:
            slow = loop.time() >= job.deadline and self._accepted_at > job.began
            kind = TooSlowError if slow else GaveUpError
            raise kind(error.what, safe=error.safe or _SAFE, next_step=error.next_step) from error
        return job.written

    async def _work(self, portions: Iterator[Sequence[bytes]], job: Job, begun: asyncio.Event) -> None:
        for portion in portions:
            await self._put(portion, job)
        begun.set()

    def _portions(self, items: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """The items in portions for one request each, as large as the pace is when each is taken."""
        start = 0
        while start < len(items):
            portion = items[start : start + self._portion_size()]
            start += len(portion)
            if sum(map(len, portion)) <= _BYTES_PER_REQUEST:
                yield portion
            else:
                # Items this large are few, and a request each costs little beside their bytes.
                yield from ([item] for item in portion)

    def _portion_size(self) -> int:
        """Items of one request: on a small table fewer, since what it takes in a second must hold several requests."""
        return max(1, min(_ITEMS_PER_REQUEST, self.items_within(_REQUEST_SECONDS)))

    async def _put(self, items: Sequence[bytes], job: Job) -> None:
        """Writes items of one request; what DynamoDB leaves, again, and what has a lane of its own, by itself.

        A request that is refused for an item in it is written by halves, down to the items that are at fault.
        """
        patience: Patience | None = None
        size = _ITEMS_PER_REQUEST
        while items:
            groups = self._lanes.groups(items)
            if len(groups) > 1:
                await _side_by_side(self._put(group.items, job) for group in groups)
                return
            size = min(size, self._portion_size())
            part, rest = items[:size], items[size:]
            try:
                left = await self._send(Group(groups[0].lanes, part), job)
            except InvalidRequestError as error:
                await self._put_halves(part, error, job)
                left = []
            except _TooLargeError:
                size = (len(part) + 1) // 2
                continue
            size = _ITEMS_PER_REQUEST
            if not left:
                patience = None
            else:
                patience = await self._pause(patience if len(left) == len(part) else None, len(left) + len(rest), job)
            items = [*left, *rest]

    async def _put_halves(self, items: Sequence[bytes], error: InvalidRequestError, job: Job) -> None:
        if len(items) == 1:
            job.written.refused.append(Refused(items[0], error.code, error.message))
            return
        middle = len(items) // 2
        await self._put(items[:middle], job)
        await self._put(items[middle:], job)

    async def _pause(self, patience: Patience | None, left: int, job: Job) -> Patience:
        """Waits before items that were left are sent again, unless the table has taken nothing at all for long."""
        patience = patience or self._client.patience()
        while asyncio.get_running_loop().time() < job.deadline:
            if await patience.pause():
                return patience
            if self._accepted_at < patience.started:
                break
            # Others' items were taken meanwhile: the table is slow, not dead, and these have their turn yet.
            patience = self._client.patience()
        last = f"; the last time: {job.throttled.what}" if job.throttled else ""
        raise GaveUpError(
            f"{self.operation} on table {self._table_name} left {left} items unprocessed for "
            f"{patience.seconds:.1f} s (attempts: {patience.attempts}){last}",
            safe=_SAFE,
            next_step=_NEXT_STEP,
        )

    async def _send(self, group: Group, job: Job, *, ahead: bool = False) -> Sequence[bytes]:
        """One request; returns the items that DynamoDB left, all of them where it throttled the request.

        `ahead`: it does not wait its turn, and the units it takes are owed.
        """
        body = self._body(group.items)
        # Half a unit for each item, since each is rounded up for itself.
        guess = len(body) / _BYTES_PER_WRITE_UNIT + len(group.items) / 2
        estimate = self._units_per_guess * guess
        if not ahead:
            await self._reserve(group, guess, estimate, job)
        reserved = 0.0 if ahead else estimate
        sent = asyncio.get_running_loop().time()
        try:
            answer = await self._ask(group.items, body, self._until(job))
        except ThrottledError as error:
            job.throttled = error
            self._settle(group, reserved, 0.0, 0.0, guess)
            self._heed(error.throttles, group, sent)
            return group.items
        left = await self._take(answer, group.items, job)
        taken = 1 - len(left) / len(group.items)
        consumed = _consumed(answer, estimate * taken)
        self._settle(group, reserved, consumed, taken, guess)
        job.written.requests += 1
        job.written.consumed += consumed
        job.written.unprocessed_retries += bool(left)
        if not taken:
            self._heed(frozenset(), group, sent)
            return left
        self._accepted_at = asyncio.get_running_loop().time()
        self._units_per_guess += _WEIGHT * (consumed / (guess * taken) - self._units_per_guess)
        self._units_per_item += _WEIGHT * (consumed / (len(group.items) * taken) - self._units_per_item)
        return await self._explain(left, group, sent, job) if left else left

    def _until(self, job: Job) -> float:
        """Until when attempts at one request are made."""
        return min(job.deadline, asyncio.get_running_loop().time() + self._client.patience_seconds)

    def _body(self, items: Sequence[bytes]) -> bytes:
        """The body of a request for these items."""
        return b"".join((self._opening, _BETWEEN_ITEMS.join(items), _END))

    async def _ask(self, items: Sequence[bytes], body: bytes, deadline: float) -> dict[str, Any]:  # noqa: ARG002
        """Sends a request for these items."""
        return await self._client.call(self.operation, body, table=self._table_name, deadline=deadline, paced=True)

    async def _take(self, answer: dict[str, Any], items: Sequence[bytes], job: Job) -> Sequence[bytes]:
        """Counts what an answer says of these items; returns those to be sent again."""
        left = _unprocessed(answer, self._table_name)
        job.written.items += len(items) - len(left)
        return left

    async def _reserve(self, group: Group, guess: float, estimate: float, job: Job) -> None:
        """Waits for the turn of a request at each pace that it must keep."""
        reserved: list[Pace] = []
        for pace, units in (*((lane, guess) for lane in group.lanes), (self._pace, estimate)):
            if not await pace.reserve(units, job.deadline, divisible=len(group.items) > 1):
                for lane in reserved:
                    lane.settle(guess, 0.0)
                if asyncio.get_running_loop().time() < job.deadline:
                    raise _TooLargeError
                raise GaveUpError(
                    f"{self.operation} on table {self._table_name} was not sent before its deadline, at "
                    f"{self._pace.rate:.1f} write units per second",
                    safe=_SAFE,
                    next_step=_NEXT_STEP,
                )
            reserved.append(pace)

    def _settle(self, group: Group, reserved: float, consumed: float, taken: float, guess: float) -> None:
        """Accounts for a request. Lanes are counted in guesses: DynamoDB states no figure for them alone."""
        self._pace.settle(reserved, consumed, self._units_per_guess * guess * (1 - taken))
        for lane in group.lanes:
            lane.settle(guess, guess * taken, guess * (1 - taken))

    def _heed(self, throttles: frozenset[Throttle], group: Group, sent: float) -> None:
        """Slows what was at its limit when the whole request was refused."""
        if throttles:
            if not self._lanes.throttled(throttles, group.items, sent):
                self._pace.throttled(sent)
            return
        for pace in group.lanes or (self._pace,):
            pace.throttled(sent)

    async def _explain(self, left: Sequence[bytes], group: Group, sent: float, job: Job) -> Sequence[bytes]:
        """Finds out why items were left, and slows what was at its limit; returns the items that still are.

        DynamoDB gives reasons only where it refuses a whole request, so one of the items is sent alone. Where it is
        taken, the limit was only just passed: that of one key if no other was left, else the table's.
        """
        if group.lanes:
            self._heed(frozenset(), group, sent)
            return left
        if self._asking:
            return left
        self._asking = True
        try:
            if await self._send(Group((), left[:1]), job, ahead=True):
                return left
        finally:
            self._asking = False
        if not self._lanes.left(left, group.items, sent):
            self._pace.throttled(sent)
        return left[1:]


class _TooLargeError(Exception):
    """A request that takes more than the pace gives in a second: it is to be made smaller."""


async def _side_by_side(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all of these at once; when one fails, the others are cancelled and ended before the failure is raised."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _consumed(answer: dict[str, Any], estimate: float) -> float:
    tables = answer.get("ConsumedCapacity")
    return sum(float(table["CapacityUnits"]) for table in tables) if tables else estimate


def _unprocessed(answer: dict[str, Any], table_name: str) -> list[bytes]:
    requests = answer.get("UnprocessedItems", {}).get(table_name, [])
    return [orjson.dumps(request["PutRequest"]["Item"]) for request in requests]
