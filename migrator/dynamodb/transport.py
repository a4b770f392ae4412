"""How a signed request travels: one type, `Transport`, and its implementation over kept-alive connections.

A test passes a function of three lines in its place.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from migrator import __version__
from migrator.dynamodb.connection import Connection, NotHttpError, Response
from migrator.dynamodb.errors import AnswerTimeoutError, NotDynamoDBError, UnreachableError
from migrator.dynamodb.route import ProxyRefusedError, Route
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

    from migrator.dynamodb.session import Session
    from migrator.errors import MigratorError

__all__ = ["HttpTransport", "Request", "Response", "Transport"]

_SERVER_ERROR: Final = 500


@dataclass(slots=True)
class Request:
    """A signed request; `timeout` is in seconds and covers it from connecting to the last byte of the answer."""

    operation: str
    headers: dict[str, str]
    body: bytes
    timeout: float


Transport = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its answer, whatever its status; raises a `TransientError` where none came."""


class HttpTransport:
    """A `Transport` over a pool of kept-alive connections; to be entered within the running loop.

    A connection is made only where none is idle, so there are never more of them than requests have been in flight.

    Args:
        session: the endpoint, the proxy if there is one, and what TLS trusts.
        connect_timeout: seconds that making a connection may take.

    Raises:
        ConfigurationError: the proxy's URL or the CA bundle cannot be used.
    """

    def __init__(self, session: Session, *, connect_timeout: float = 5.0) -> None:
        self._endpoint_url = session.endpoint_url
        self._route = Route(session, connect_timeout)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop = None
        self._idle.clear()
        ending = [connection.closed for connection in self._connections]
        for connection in self._connections:
            connection.abort()
        await asyncio.gather(*ending)

    async def __call__(self, request: Request) -> Response:
        """Sends the request once.

        Raises:
            UnreachableError, AnswerTimeoutError: no complete answer came.
            NotDynamoDBError: what answered does not speak HTTP, or speaks TLS where HTTP was asked for or the reverse.
            ConfigurationError: the endpoint's certificate is not trusted.
        """
        if self._loop is None:
            raise RuntimeError("HttpTransport is used outside of its `async with` block")
        deadline = self._loop.time() + request.timeout
        connection = self._take_idle()
        try:
            if connection is None:
                connection = await self._connect(deadline)
            response = await connection.exchange(self._message(request), deadline)
        except (OSError, NotHttpError, ProxyRefusedError) as error:
            raise self._failure(request, error, connected=connection is not None) from error
        if connection.is_open:
            self._idle.append(connection)
        return response

    def _take_idle(self) -> Connection | None:
        """The connection that was used last, so that those not needed grow old and are closed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self, deadline: float) -> Connection:
        connection = await self._route.connect(deadline)
        self._connections.add(connection)
        connection.closed.add_done_callback(lambda _: self._connections.discard(connection))
        return connection

    def _message(self, request: Request) -> bytes:
        headers = "\r\n".join([f"{name}: {value}" for name, value in request.headers.items()])
        head = (
            f"{self._route.request_line}{headers}\r\n"
            f"User-Agent: migrator/{__version__}\r\nContent-Length: {len(request.body)}\r\n\r\n"
        )
        return head.encode("latin-1") + request.body

    def _failure(self, request: Request, error: Exception, *, connected: bool) -> MigratorError:
        """What a failure means to the user. No URL of a proxy is told: it may hold a password."""
        where = self._endpoint_url if self._route.proxy is None else f"{self._endpoint_url} through {self._route.proxy}"
        if isinstance(error, TimeoutError) and connected:
            return AnswerTimeoutError(f"{where} did not answer {request.operation} within {request.timeout:.1f} s")
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConfigurationError(
                f"the certificate of {where} is not trusted: {error.verify_message}",
                next_step="name the authority's certificate in AWS_CA_BUNDLE, or correct the endpoint",
            )
        if _would_fail_again(error, connected=connected):
            return NotDynamoDBError(
                f"{where} did not answer as DynamoDB does: {_reason(error)}",
                next_step="check http or https and the port in the endpoint, and HTTPS_PROXY where one is set",
            )
        return UnreachableError(f"{where} could not be reached for {request.operation}: {_reason(error)}")


def _would_fail_again(error: Exception, *, connected: bool) -> bool:
    """Whether the other side speaks another protocol, or a proxy refuses, so that another attempt is of no use."""
    match error:
        case ProxyRefusedError():
            return error.status is None or error.status < _SERVER_ERROR
        case ssl.SSLError():
            # TLS that fails to begin is TLS with something else; TLS that fails later was damaged on its way.
            return not connected and not isinstance(error, ssl.SSLEOFError)
        case _:
            return isinstance(error, NotHttpError)


def _reason(error: Exception) -> str:
    """What the system says of an error, without the address that asyncio puts into its text."""
    match error:
        case TimeoutError():
            return "no connection in time"
        case ssl.SSLError():
            return f"TLS failed ({error.reason or type(error).__name__})"
        case socket.gaierror():
            return error.strerror or "its name is not known"
        case OSError(errno=int(number)):
            return os.strerror(number)
        case _:
            return str(error) or type(error).__name__
