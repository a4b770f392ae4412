"""One HTTP/1.1 connection on asyncio, kept alive: a request's bytes in, its answer out, one at a time.

The answers are taken apart by httptools, which is llhttp in C; it refuses what is ambiguous in HTTP's framing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

if TYPE_CHECKING:
    from collections.abc import Iterator

_IDLE_SECONDS: Final = 30.0
# BatchGetItem answers with up to 16 MB of items, by DynamoDB's own measure; as JSON, binary and small values take more.
LARGEST_ANSWER: Final = 64 * 2**20
_FIRST_FINAL_STATUS: Final = 200


class Headers(Mapping[str, str]):
    """An answer's headers, named in lower case. Holds them as they came: finding one is cheaper than decoding all."""

    __slots__ = ("_raw",)

    def __init__(self, raw: dict[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        wanted = name.encode("latin-1")
        for raw_name, value in self._raw.items():
            if raw_name.lower() == wanted:
                return value.strip().decode("latin-1")
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower().decode("latin-1") for name in self._raw})

    def __len__(self) -> int:
        return len(set(self))


@dataclass(slots=True)
class Response:
    """An answer as it came; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotHttpError(Exception):
    """What came is not an answer in HTTP/1.1, or one that is too large."""


class Connection(asyncio.Protocol):
    """A connection that is used by one request after the other, never by two at once.

    Holds the socket, what has come of the answer, and one deadline: that of the answer while a request is under way,
    and the end of its idle time otherwise. `closed` is done when the socket is gone.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.is_open = False
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[Response] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._begin()

    def _begin(self) -> None:
        self._received = 0
        self._response: Response | None = None
        self._keep_alive = False
        self._is_body = False

    async def exchange(self, message: bytes, deadline: float) -> Response:
        """Sends a request and waits for its answer; the connection is closed unless it can carry another one.

        Args:
            message: the whole request.
            deadline: a moment of the running loop's `time()`.

        Raises:
            NotHttpError: what came is no answer.
            TimeoutError: the answer was not complete at the deadline.
            OSError: the connection was cut before the answer was complete.
        """
        self._begin()
        self._waiter = self._loop.create_future()
        self._arm(deadline)
        self._transport.write(message)
        try:
            response = await self._waiter
        except BaseException:
            # Cancelled, as a rule: the answer may still come, and nobody would wait for it.
            self.abort()
            raise
        if not self._keep_alive:
            self.abort()
        return response

    def abort(self) -> None:
        """Closes the connection at once."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands (asyncio calls this)."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a connection needs a stream, not {transport!r}")
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Takes what was received (asyncio calls this)."""
        if self._waiter is None:
            # Nobody has asked for anything.
            self.abort()
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._keep_alive = False
            if self._response is None:
                self._settle(NotHttpError(f"this is not an answer in HTTP/1.1 ({error})"))
                return
        if self._response is not None:
            self._settle(self._response)
        elif self._received > LARGEST_ANSWER:
            self._settle(NotHttpError(f"the answer is larger than {LARGEST_ANSWER // 2**20} MiB"))

    def eof_received(self) -> None:
        """The other side sends nothing more; asyncio closes the connection after this."""
        if self._is_body and not Headers(self._headers).keys() & {"content-length", "transfer-encoding"}:
            # An answer that does not tell its length ends with its connection.
            self._settle(self._answer())

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio calls this)."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        so_far = "in the middle of the answer" if self._received else "before any answer"
        self._settle(exc or ConnectionResetError(f"the connection was closed {so_far}"))
        self.closed.set_result(None)

    def on_message_begin(self) -> None:
        """An answer begins (httptools calls this and the next five): a provisional one, or the one that counts."""
        if self._response is not None:
            self._keep_alive = False
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, in the head or behind the last chunk."""
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._is_body = self._response is None and self._parser.get_status_code() >= _FIRST_FINAL_STATUS

    def on_body(self, piece: bytes) -> None:
        """A part of the body."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The answer is complete."""
        if self._is_body:
            self._response = self._answer()
            # An answer that came before the request was sent leaves the rest of the request in the way.
            self._keep_alive = self._parser.should_keep_alive() and self._transport.get_write_buffer_size() == 0

    def _answer(self) -> Response:
        self._is_body = False
        return Response(self._parser.get_status_code(), Headers(self._headers), b"".join(self._pieces))

    def _settle(self, outcome: Response | Exception) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if isinstance(outcome, Exception):
            waiter.set_exception(outcome)
            return
        waiter.set_result(outcome)
        self._arm(self._loop.time() + _IDLE_SECONDS)

    def _arm(self, deadline: float) -> None:
        """Sets the deadline. A timer that is due earlier stays: where its time comes too soon, it is set again."""
        self._deadline = deadline
        if self._timer is not None and self._timer.when() > deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            self._arm(self._deadline)
            return
        self._settle(TimeoutError())
        self.abort()
