"""Answers that come in pages: Query and Scan."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
import orjson

from migrator.dynamodb.errors import GaveUpError, ThrottledError
from migrator.dynamodb.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from migrator.dynamodb.client import Client
    from migrator.mapping import WireItem

# 1 MB, read consistently.
_UNITS_PER_PAGE: Final = 256.0
_LEAST_UNITS: Final = 0.5
_PAGE_SECONDS: Final = 0.5
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """The items of one answer, where the next one starts (None: this is the last), and the read units consumed."""

    items: list[_Item]
    last_key: WireItem | None
    consumed: float


class _Consumed(msgspec.Struct):
    """What an answer has cost."""

    CapacityUnits: float


class _Answer(msgspec.Struct, Generic[_Item]):
    """An answer to Query or Scan, as far as it is read here."""

    Items: list[_Item]
    ScannedCount: int = 0
    LastEvaluatedKey: dict[str, dict[str, str]] | None = None
    ConsumedCapacity: _Consumed | None = None


_Parse: TypeAlias = "Callable[[bytes], _Answer[Any]]"


@cache
def _parser(form: Any) -> _Parse:  # noqa: ANN401 - a type
    """Reads an answer whose items are of the form, or plain dicts where one of them is not."""
    plainly = msgspec.json.Decoder(_Answer[dict[str, Any]]).decode
    if form is None:
        return plainly
    formed = msgspec.json.Decoder(_Answer[form]).decode

    def parse(body: bytes) -> _Answer[Any]:
        try:
            return formed(body)
        except msgspec.ValidationError:
            return plainly(body)

    return parse


async def pages(
    client: Client,
    operation: str,
    request: Mapping[str, Any],
    *,
    pace: Pace | None = None,
    form: Any = None,  # noqa: ANN401 - a type
) -> AsyncGenerator[Page[Any], None]:
    """Yields the pages of a Query or a Scan, each asked for when the one before has been taken.

    Args:
        client: the client to ask through.
        operation: `Query` or `Scan`.
        request: the operation's own parameters; `ExclusiveStartKey` says where to begin.
        pace: the table's read units per second, shared by all that were given it.
        form: a type of msgspec's that items are read as, all of a page or none of it; None for plain dicts.

    Raises:
        GaveUpError: a page was throttled until the client's patience was over.
        MigratorError: any other failure (see `Client.call`).
    """
    reader = _Reader(client, operation, pace or Pace(), request.get("Limit"), _parser(form))
    parameters = {**request, "ReturnConsumedCapacity": "TOTAL"}
    while True:
        page = await reader.read(parameters)
        yield page
        if page.last_key is None:
            return
        parameters["ExclusiveStartKey"] = page.last_key


class _Reader:
    """Reads page after page. Holds what the last one consumed, from which the next one's size and units are guessed."""

    def __init__(self, client: Client, operation: str, pace: Pace, limit: int | None, parse: _Parse) -> None:
        self._client = client
        self._parse = parse
        self._operation = operation
        self._pace = pace
        self._limit = limit
        self._expected = 1.0
        self._largest = _UNITS_PER_PAGE
        self._units_per_item = 1.0

    async def read(self, parameters: Mapping[str, Any]) -> Page[Any]:
        """One page, asked for until it is given; each time it is throttled, half as much is asked for."""
        patience = self._client.patience()
        while True:
            try:
                return await self._ask(parameters)
            except ThrottledError as error:
                self._largest = max(self._largest / 2, _LEAST_UNITS)
                if not await patience.pause():
                    raise GaveUpError(
                        f"{error.attempt} was throttled for {patience.seconds:.1f} s (attempts: {patience.attempts})",
                        next_step=error.next_step,
                    ) from error

    async def _ask(self, parameters: Mapping[str, Any]) -> Page[Any]:
        limit = self._page_limit()
        sized = parameters if limit is None else {**parameters, "Limit": limit}
        expected = self._expected if limit is None else min(self._expected, limit * self._units_per_item)
        await self._pace.reserve(expected)
        sent = asyncio.get_running_loop().time()
        try:
            answer = await self._client.parsed(
                self._operation, orjson.dumps(sized), self._parse, table=parameters["TableName"], paced=True
            )
        except ThrottledError:
            self._pace.settle(expected, 0.0, expected)
            self._pace.throttled(sent)
            raise
        consumed = expected if answer.ConsumedCapacity is None else answer.ConsumedCapacity.CapacityUnits
        self._pace.settle(expected, consumed)
        self._expected = consumed
        self._largest = min(2 * self._largest, _UNITS_PER_PAGE)
        if answer.ScannedCount:
            self._units_per_item = consumed / answer.ScannedCount
        return Page(answer.Items, answer.LastEvaluatedKey, consumed)

    def _page_limit(self) -> int | None:
        """How many items to ask for: on a small table few, so that a page takes no more than it gives in the time."""
        units = min(self._pace.rate * _PAGE_SECONDS, self._largest)
        if units >= _UNITS_PER_PAGE or not self._units_per_item:
            return self._limit
        limit = max(1, int(units / self._units_per_item))
        return limit if self._limit is None else min(limit, self._limit)
