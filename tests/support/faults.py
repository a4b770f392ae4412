"""What a fault proxy can do to a request: what the client then sees, and what the store gets."""

from __future__ import annotations

import asyncio
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol
from uuid import uuid4

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from random import Random

_TYPE_PREFIX = "com.amazonaws.dynamodb.v20120810#"


@dataclass(frozen=True)
class Answer:
    """A whole HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of_dynamodb(cls, status: int, document: Mapping[str, Any]) -> Answer:
        """Build an answer as DynamoDB does: its content type, a request id and a checksum of the body."""
        body = orjson.dumps(document)
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amzn-RequestId": uuid4().hex.upper(),
            "x-amz-crc32": str(zlib.crc32(body)),
        }
        return cls(status, headers, body)

    @classmethod
    def error(cls, code: str, status: int = 400) -> Answer:
        """Build an error answer. The message is not DynamoDB's: its wording changes, and nobody may depend on it."""
        return cls.of_dynamodb(status, {"__type": f"{_TYPE_PREFIX}{code}", "message": f"{code} by the fault proxy"})


@dataclass(frozen=True)
class Exchange:
    """One request on its way: what it says, and the ways to deal with it."""

    operation: str
    """DynamoDB's name of it, such as `BatchWriteItem`."""
    body: bytes
    request: web.Request
    forward: Callable[[bytes], Awaitable[Answer]]
    """Send the request, with this body, to the store."""
    in_background: Callable[[Coroutine[Any, Any, None]], None]
    released: asyncio.Event
    """Set when the test releases what is held back."""
    random: Random

    def cut(self) -> web.StreamResponse:
        """Reset the client's connection."""
        if self.request.transport is not None:
            self.request.transport.abort()
        return web.Response()

    def answer(self, answer: Answer) -> web.StreamResponse:
        """Answer the client."""
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)


class Fault(Protocol):
    """Deals with an exchange in its own way."""

    def fits(self, operation: str) -> bool: ...

    async def apply(self, exchange: Exchange) -> web.StreamResponse: ...


class _AnyOperation:
    def fits(self, operation: str) -> bool:
        return bool(operation)


@dataclass(frozen=True)
class Refuse(_AnyOperation):
    """Answer with an error code, before the request takes effect or (`applied`) after it."""

    code: str
    status: int = 400
    applied: bool = False

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if self.applied:
            await exchange.forward(exchange.body)
        return exchange.answer(Answer.error(self.code, self.status))


def throttle(code: str = "ProvisionedThroughputExceededException") -> Refuse:
    """`ProvisionedThroughputExceededException`, `ThrottlingException` or `RequestLimitExceeded`."""
    return Refuse(code)


def server_error(*, applied: bool = False) -> Refuse:
    """HTTP 500, which leaves open whether the request took effect."""
    return Refuse("InternalServerError", status=500, applied=applied)


@dataclass(frozen=True)
class Unprocessed:
    """Leave out a share of a batch (at least one member), and report it as unprocessed.

    As DynamoDB does, a batch of which nothing could be processed is refused as throttled.
    """

    share: float = 0.5

    def fits(self, operation: str) -> bool:
        return operation in {"BatchWriteItem", "BatchGetItem"}

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        request = orjson.loads(exchange.body)
        tables = request["RequestItems"]
        members = [(table, member) for table, batch in tables.items() for member in _members(batch)]
        count = min(max(1, round(len(members) * self.share)), len(members) - 1)
        if count < 1:
            return exchange.answer(Answer.error("ProvisionedThroughputExceededException"))
        left_out = set(exchange.random.sample(range(len(members)), count))
        kept = [member for number, member in enumerate(members) if number not in left_out]
        unprocessed = [member for number, member in enumerate(members) if number in left_out]
        answer = await exchange.forward(orjson.dumps({**request, "RequestItems": _regrouped(tables, kept)}))
        if answer.status != web.HTTPOk.status_code:
            return exchange.answer(answer)
        name = "UnprocessedItems" if exchange.operation == "BatchWriteItem" else "UnprocessedKeys"
        document = {**orjson.loads(answer.body), name: _regrouped(tables, unprocessed)}
        return exchange.answer(Answer.of_dynamodb(answer.status, document))


@dataclass(frozen=True)
class StatementErrors:
    """Answer a share of a BatchExecuteStatement's statements (at least one) with an error; the store gets the others.

    With `applied`, it gets these as well.
    """

    code: str
    share: float = 0.5
    applied: bool = False

    def fits(self, operation: str) -> bool:
        return operation == "BatchExecuteStatement"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        request = orjson.loads(exchange.body)
        statements = request["Statements"]
        count = max(1, round(len(statements) * self.share))
        failing = set(exchange.random.sample(range(len(statements)), count))
        sent = [each for number, each in enumerate(statements) if self.applied or number not in failing]
        responses, capacity = [], []
        if sent:
            answer = await exchange.forward(orjson.dumps({**request, "Statements": sent}))
            if answer.status != web.HTTPOk.status_code:
                return exchange.answer(answer)
            document = orjson.loads(answer.body)
            responses, capacity = document["Responses"], document["ConsumedCapacity"]
        if not self.applied:
            rest = iter(responses)
            responses = [{} if number in failing else next(rest) for number in range(len(statements))]
        for number in failing:
            responses[number] = {"Error": {"Code": self.code, "Message": f"{self.code} by the fault proxy"}}
        return exchange.answer(Answer.of_dynamodb(200, {"Responses": responses, "ConsumedCapacity": capacity}))


def _members(batch: Any) -> list[Any]:  # noqa: ANN401 - a table's part of a batch, in either of DynamoDB's two forms
    members: list[Any] = batch if isinstance(batch, list) else batch["Keys"]
    return members


def _regrouped(tables: Mapping[str, Any], members: list[tuple[str, Any]]) -> dict[str, Any]:
    regrouped: dict[str, Any] = {}
    for name in dict.fromkeys(table for table, _ in members):
        of_table = [member for table, member in members if table == name]
        batch = tables[name]
        regrouped[name] = of_table if isinstance(batch, list) else {**batch, "Keys": of_table}
    return regrouped


@dataclass(frozen=True)
class Delay(_AnyOperation):
    """Hold the request back, then deal with it as usual."""

    seconds: float

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return exchange.answer(await exchange.forward(exchange.body))


@dataclass(frozen=True)
class Hold(_AnyOperation):
    """Hold the request back until the test calls `FaultProxy.release`, then deal with it as usual."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await exchange.released.wait()
        return exchange.answer(await exchange.forward(exchange.body))


class _Records(ABC):
    """Change what a stream says of each record."""

    def fits(self, operation: str) -> bool:
        return operation == "GetRecords"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        answer = await exchange.forward(exchange.body)
        document = orjson.loads(answer.body)
        for record in document.get("Records", ()):
            self.change(record)
        return exchange.answer(Answer.of_dynamodb(answer.status, document))

    @abstractmethod
    def change(self, record: dict[str, Any]) -> None:
        """Change one."""


@dataclass(frozen=True)
class ByTtl(_Records):
    """Let a stream say of every removal that TTL has made it."""

    def change(self, record: dict[str, Any]) -> None:
        if record["eventName"] == "REMOVE":
            record["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


@dataclass(frozen=True)
class Aged(_Records):
    """Let a stream say of every change that it was made so many seconds earlier."""

    seconds: float

    def change(self, record: dict[str, Any]) -> None:
        record["dynamodb"]["ApproximateCreationDateTime"] -= self.seconds


@dataclass(frozen=True)
class Cut(_AnyOperation):
    """Cut the connection: before the request reaches the store, after it took effect, or midway in the answer."""

    when: Literal["before", "after", "midway"]

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        if self.when == "before":
            return exchange.cut()
        answer = await exchange.forward(exchange.body)
        if self.when == "after":
            return exchange.cut()
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_length = len(answer.body)
        await response.prepare(exchange.request)
        await response.write(answer.body[: len(answer.body) // 2])
        if exchange.request.transport is not None:
            exchange.request.transport.close()
        return response


@dataclass(frozen=True)
class Late(_AnyOperation):
    """Cut the client's connection at once, and deliver the request later all the same.

    Without `seconds`, later is when the test calls `FaultProxy.release`.
    """

    seconds: float | None = None

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        exchange.in_background(self._deliver(exchange))
        return exchange.cut()

    async def _deliver(self, exchange: Exchange) -> None:
        if self.seconds is None:
            await exchange.released.wait()
        else:
            await asyncio.sleep(self.seconds)
        await exchange.forward(exchange.body)


@dataclass(frozen=True)
class Garble(_AnyOperation):
    """Answer what is no JSON, as a proxy or a load balancer on the way does; the request does not reach the store."""

    status: int = 200
    body: bytes = b"<html><body>Service unavailable</body></html>"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return exchange.answer(Answer(self.status, {"Content-Type": "text/html"}, self.body))


@dataclass(frozen=True)
class Stall(_AnyOperation):
    """Accept the request and never answer, until the test calls `FaultProxy.release`; it does not reach the store."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        await exchange.released.wait()
        return exchange.cut()
