"""The wire client: an operation and its JSON body in, DynamoDB's answer out.

It signs, sends, inspects, and tries again what is worth another attempt. The only loop over attempts stands here.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import orjson

from migrator.dynamodb.clock import explained
from migrator.dynamodb.errors import (
    Attempt,
    CorruptedAnswerError,
    GaveUpError,
    ThrottledError,
    TransientError,
    error_of_answer,
    not_dynamodb,
)
from migrator.dynamodb.retry import Backoff, Patience
from migrator.dynamodb.session import CurrentCredentials
from migrator.dynamodb.signing import Signer
from migrator.dynamodb.transport import HttpTransport, Request, Response, Transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from migrator.dynamodb.session import Session

_HTTP_OK: Final = 200
_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class Counts:
    """What a client has done: requests sent, and attempts made again by reason (`TransientError.reason`)."""

    requests: int = 0
    retries: Counter[str] = field(default_factory=Counter)

    @property
    def throttles(self) -> int:
        """How often DynamoDB refused a whole request because a limit was reached."""
        return self.retries["throttled"]


class Client:
    """DynamoDB's wire API. Holds the connections, the signing key and the bound on requests in flight.

    Args:
        session: where DynamoDB is and who asks.
        transport: how requests travel; an `HttpTransport` of the client's own where none is given.
        backoff: the delays between attempts.
        patience: seconds after which attempts at one request end, where the caller gives no deadline.
        request_timeout: seconds that one attempt may take.
        max_in_flight: how many requests may be under way at once.
    """

    def __init__(
        self,
        session: Session,
        *,
        transport: Transport | None = None,
        backoff: Backoff | None = None,
        patience: float = 120.0,
        request_timeout: float = 30.0,
        max_in_flight: int = 64,
    ) -> None:
        self.place = session.place
        self.max_in_flight = max_in_flight
        self.counts = Counts()
        self._backoff = backoff or Backoff()
        self.patience_seconds = patience
        self._credentials = CurrentCredentials(session)
        self._request_timeout = request_timeout
        self._signer = Signer(session.endpoint_url, session.region)
        self._slots = asyncio.Semaphore(max_in_flight)
        self._http: HttpTransport | None = None
        if transport is None:
            transport = self._http = HttpTransport(session)
        self._transport = transport

    async def __aenter__(self) -> Self:
        if self._http is not None:
            await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.__aexit__(kind, error, trace)

    async def call(
        self,
        operation: str,
        body: bytes,
        *,
        table: str | None = None,
        deadline: float | None = None,
        paced: bool = False,
    ) -> dict[str, Any]:
        """Performs an operation and returns DynamoDB's answer, parsed to plain dicts and lists.

        All else is as in `parsed`.
        """
        return await self.parsed(operation, body, _object, table=table, deadline=deadline, paced=paced)

    async def parsed(
        self,
        operation: str,
        body: bytes,
        parse: Callable[[bytes], _Answer],
        *,
        table: str | None = None,
        deadline: float | None = None,
        paced: bool = False,
    ) -> _Answer:
        """Performs an operation and returns DynamoDB's answer as it is parsed.

        Args:
            operation: DynamoDB's name of it: `BatchWriteItem`.
            body: the request as JSON.
            parse: reads the JSON of an answer that is not an error; raises ValueError where it is none.
            table: the table concerned, for messages.
            deadline: a moment of the running loop's `time()`; nothing is sent after it.
            paced: the caller keeps a pace, so that a throttled request is its to send again, and is raised at once.

        Raises:
            ThrottledError: a limit was reached, and the caller keeps a pace.
            AnswerError: DynamoDB refused the request for good (see `migrator.dynamodb.errors`); where its `attempt` is
                `unclear`, an earlier attempt may have taken effect all the same.
            GaveUpError: it did not succeed until the deadline, or for `patience` seconds.
            NotDynamoDBError, ConfigurationError: the endpoint or the credentials cannot be used as they are.
        """
        attempt = Attempt(operation, table, self.place)
        patience = self.patience(deadline)
        last: TransientError | None = None
        while True:
            try:
                return read_answer(attempt, await self._send(attempt, body, patience.deadline), parse)
            except TransientError as error:
                if paced and isinstance(error, ThrottledError):
                    self.counts.retries[error.reason] += 1
                    raise
                last = error
                # What is throttled has certainly not taken effect.
                attempt.unclear |= not isinstance(error, ThrottledError)
            except GaveUpError as error:
                # The deadline passed in the queue: what went wrong before says more.
                raise (error if last is None else _gave_up(attempt, patience, last)) from last
            if not await patience.pause():
                raise _gave_up(attempt, patience, last) from last
            self.counts.retries[last.reason] += 1

    def patience(self, deadline: float | None = None) -> Patience:
        """The pauses between attempts at one thing, until the deadline or until this client's patience is over."""
        return Patience(self._backoff, self.patience_seconds, deadline)

    async def _send(self, attempt: Attempt, body: bytes, deadline: float) -> Response:
        """One attempt: takes a slot, signs, and sends unless the deadline has passed meanwhile."""
        async with self._slots:
            credentials = await self._credentials.get()
            headers = self._signer.headers(attempt.operation, body, credentials)
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                raise GaveUpError(f"{attempt} was not sent: its deadline had passed")
            self.counts.requests += 1
            timeout = min(left, self._request_timeout)
            return await self._transport(Request(attempt.operation, headers, body, timeout))


def _object(body: bytes) -> dict[str, Any]:
    """A JSON object."""
    answer = orjson.loads(body)
    if not isinstance(answer, dict):
        raise ValueError  # noqa: TRY004 - what is wrong is the answer
    return answer


def read_answer(attempt: Attempt, response: Response, parse: Callable[[bytes], _Answer]) -> _Answer:
    """The answer, parsed, after its status and checksum have been looked at.

    Raises:
        CorruptedAnswerError: the body's CRC32 is not the one that `x-amz-crc32` states.
        AnswerError, NotDynamoDBError: see `Client.parsed`.
    """
    body = response.body
    checksum = response.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(body)):
        raise CorruptedAnswerError(f"the answer to {attempt} was damaged on its way: its CRC32 does not match")
    if response.status != _HTTP_OK:
        raise explained(error_of_answer(attempt, response.status, body), response.headers.get("date"))
    try:
        return parse(body)
    except ValueError as error:
        raise not_dynamodb(attempt) from error


def _gave_up(attempt: Attempt, patience: Patience, last: TransientError) -> GaveUpError:
    return GaveUpError(
        f"{attempt} did not succeed within {patience.seconds:.1f} s (attempts: {patience.attempts}); "
        f"the last time: {last.what}",
        next_step=last.next_step or "run the command again: it continues where it was",
    )
