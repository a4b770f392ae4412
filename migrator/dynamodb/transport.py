"""How a signed request travels: one type, `Transport`, and its implementation on aiohttp.

A test passes a function of three lines in its place.
"""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import aiohttp

from migrator import __version__
from migrator.dynamodb.errors import AnswerTimeoutError, NotDynamoDBError, UnreachableError
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from types import TracebackType

    from migrator.dynamodb.session import Session

_KEEP_ALIVE_SECONDS: Final = 30
# aiohttp warns that a larger `bytes` body is written in one piece, which holds up the loop; a file is written in parts.
_LARGEST_BODY_IN_ONE_PIECE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request; `timeout` is in seconds and covers it from connecting to the last byte of the answer."""

    operation: str
    headers: dict[str, str]
    body: bytes
    timeout: float


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came. Header names compare without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Transport = Callable[[Request], Awaitable[Response]]
"""Sends a request and returns its answer, whatever its status; raises a `TransientError` where none came."""


class HttpTransport:
    """A `Transport` over a pool of kept-alive connections. Holds the pool; to be entered within the running loop."""

    def __init__(self, session: Session, *, connect_timeout: float = 5.0) -> None:
        self._endpoint_url = session.endpoint_url
        # A proxy is sent the whole URL, which must have a path.
        self._url = session.endpoint_url if urlsplit(session.endpoint_url).path else f"{session.endpoint_url}/"
        self._proxy = session.proxy
        self._connect_timeout = connect_timeout
        self._tls = session.ssl_context()
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # The client bounds the requests in flight, so the pool needs no limit of its own.
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=_KEEP_ALIVE_SECONDS)
        self._http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding"),
            headers={"User-Agent": f"migrator/{__version__}"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def __call__(self, request: Request) -> Response:
        """Sends the request once.

        Raises:
            UnreachableError, AnswerTimeoutError: no complete answer came.
            NotDynamoDBError: what answered does not speak HTTP, or speaks TLS where HTTP was asked for or the reverse.
            ConfigurationError: the endpoint's certificate is not trusted.
        """
        if self._http is None:
            raise RuntimeError("HttpTransport is used outside of its `async with` block")
        body = request.body if len(request.body) <= _LARGEST_BODY_IN_ONE_PIECE else io.BytesIO(request.body)
        timeout = aiohttp.ClientTimeout(total=request.timeout, sock_connect=self._connect_timeout)
        try:
            async with self._http.post(
                self._url,
                data=body,
                headers=request.headers,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=timeout,
            ) as answer:
                return Response(answer.status, answer.headers, await answer.read())
        except TimeoutError as error:
            raise AnswerTimeoutError(
                f"{self._endpoint_url} did not answer {request.operation} within {request.timeout:.1f} s"
            ) from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise ConfigurationError(
                f"the certificate of {self._endpoint_url} is not trusted: {error.certificate_error}",
                next_step="name the authority's certificate in AWS_CA_BUNDLE, or correct the endpoint",
            ) from error
        except (aiohttp.ClientSSLError, aiohttp.ClientResponseError, aiohttp.InvalidURL) as error:
            raise self._not_http(error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(
                f"{self._endpoint_url} could not be reached for {request.operation}: {_reason(error)}"
            ) from error

    def _not_http(self, error: Exception) -> NotDynamoDBError:
        where = "the proxy" if isinstance(error, aiohttp.ClientHttpProxyError) else self._endpoint_url
        return NotDynamoDBError(
            f"{where} did not answer as DynamoDB does: {_reason(error)}",
            next_step="check http or https and the port in the endpoint, and HTTPS_PROXY where one is set",
        )


def _reason(error: Exception) -> str:
    """The error without the URLs that aiohttp puts into its text: a proxy's URL may hold a password."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port}: {error.os_error.strerror or type(error.os_error).__name__}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"HTTP {error.status}"
    return type(error).__name__
