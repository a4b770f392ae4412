"""How a connection to the endpoint is made: directly or through a proxy, in the clear or over TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

from migrator.dynamodb.connection import Connection
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.dynamodb.session import Session

SomeProtocol = TypeVar("SomeProtocol", bound=asyncio.BaseProtocol)

_PORTS: Final = {"http": 80, "https": 443}
_LARGEST_HEAD: Final = 65_536


class ProxyRefusedError(Exception):
    """The proxy does not let a connection through; `status` is HTTP's, None where it did not speak HTTP."""

    def __init__(self, status: int | None) -> None:
        super().__init__("no answer in HTTP" if status is None else f"HTTP {status}")
        self.status = status


class Route:
    """The way to one endpoint. Holds where to connect to and how requests must name their target.

    Args:
        session: the endpoint, the proxy if there is one, and what TLS trusts.
        connect_timeout: seconds that making a connection may take, TLS and proxy included.

    Raises:
        ConfigurationError: the proxy's URL or the CA bundle cannot be used.
    """

    def __init__(self, session: Session, connect_timeout: float) -> None:
        endpoint, proxy = urlsplit(session.endpoint_url), _proxy(session.proxy)
        self._connect_timeout = connect_timeout
        self._host, self._port = _address(endpoint)
        self._is_tls = endpoint.scheme == "https"
        self._proxy = None if proxy is None else _address(proxy)
        self._proxy_is_tls = proxy is not None and proxy.scheme == "https"
        self._tls = session.ssl_context() if self._is_tls or self._proxy_is_tls else None
        path = quote(endpoint.path or "/", safe="/~%:@!$&'()*+,;=")
        authority = endpoint.netloc.rpartition("@")[2]
        password = "" if proxy is None else _proxy_authorization(proxy)
        forwarded = proxy is not None and not self._is_tls
        target = f"http://{authority}{path}" if forwarded else path
        self.request_line = f"POST {target} HTTP/1.1\r\n{password if forwarded else ''}"
        """The first line of every request; where a proxy reads it, the credentials for the proxy follow."""
        name = f"[{self._host}]" if ":" in self._host else self._host
        self._connect = f"CONNECT {name}:{self._port} HTTP/1.1\r\nHost: {name}:{self._port}\r\n{password}\r\n".encode()

    @property
    def proxy(self) -> str | None:
        """The proxy as messages tell it, without its password."""
        return self._proxy and f"the proxy {self._proxy[0]}:{self._proxy[1]}"

    async def connect(self, deadline: float) -> Connection:
        """Makes a connection to the endpoint, until the deadline, a moment of the running loop's `time()`.

        Raises:
            TimeoutError: it took until the deadline, or longer than `connect_timeout`.
            ProxyRefusedError: the proxy said no.
            OSError, ssl.SSLError: it failed.
        """
        deadline = min(deadline, asyncio.get_running_loop().time() + self._connect_timeout)
        async with asyncio.timeout_at(deadline):
            if self._proxy is not None and self._is_tls:
                return await self._tunnel(*self._proxy, deadline)
            host, port = self._proxy or (self._host, self._port)
            tls = self._tls if self._is_tls or self._proxy_is_tls else None
            _, connection = await _dial(Connection, host, port, tls, deadline)
            return connection

    async def _tunnel(self, host: str, port: int, deadline: float) -> Connection:
        """Asks the proxy for a connection to the endpoint, and speaks TLS with the endpoint through it."""
        loop = asyncio.get_running_loop()
        tls = self._tls if self._proxy_is_tls else None
        transport, opening = await _dial(_Opening, host, port, tls, deadline)
        try:
            transport.write(self._connect)
            await opening.done
            connection = Connection()
            inner = await loop.start_tls(transport, connection, self._tls, server_hostname=self._host)  # type: ignore[arg-type]
        except BaseException:
            transport.abort()
            raise
        if inner is None:
            raise ConnectionResetError("the connection was closed while TLS began")
        connection.connection_made(inner)
        return connection


class _Opening(asyncio.Protocol):
    """The proxy's answer to CONNECT, which has a head and no body. `done` tells when it has let the request through."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        """Takes what was received (asyncio calls this)."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if (not end and len(head) < _LARGEST_HEAD) or self.done.done():
            return
        version, _, status = head.partition(b"\r\n")[0].partition(b" ")
        # The endpoint says nothing before TLS begins: whatever follows the head was put there by somebody else.
        if not version.startswith(b"HTTP/1.") or not status[:3].isdigit() or rest:
            self.done.set_exception(ProxyRefusedError(None))
        elif status.startswith(b"2"):
            self.done.set_result(None)
        else:
            self.done.set_exception(ProxyRefusedError(int(status[:3])))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio calls this)."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("the proxy closed the connection"))


async def _dial(
    protocol: Callable[[], SomeProtocol], host: str, port: int, tls: ssl.SSLContext | None, deadline: float
) -> tuple[asyncio.Transport, SomeProtocol]:
    """Connects to the first address of a host that answers; each has an equal share of the time that is left.

    asyncio's own race between addresses loses sockets where it is cancelled, and without it one that does not answer
    takes all the time.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(address[0] for *_, address in found))
    for left in range(len(addresses), 0, -1):
        try:
            async with asyncio.timeout((deadline - loop.time()) / left):
                return await loop.create_connection(
                    protocol, str(addresses[-left]), port, ssl=tls, server_hostname=None if tls is None else host
                )
        except ssl.SSLError:
            raise
        except OSError:
            if left == 1:
                raise
    raise socket.gaierror(socket.EAI_NONAME, "the name has no address")


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or _PORTS[url.scheme]


def _proxy(url: str | None) -> SplitResult | None:
    """The proxy's URL, taken apart; as with botocore, it may lack its scheme."""
    if url is None:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme in _PORTS and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        # The port is no number, or a bracket is not closed.
        pass
    # The parser's own words may repeat the URL, and the URL may hold a password.
    raise ConfigurationError(
        "the proxy that the environment names cannot be used: its URL is not http://host:port or https://host:port",
        next_step="correct HTTP_PROXY or HTTPS_PROXY, or name the endpoint's host in NO_PROXY",
    )


def _proxy_authorization(proxy: SplitResult) -> str:
    if proxy.username is None:
        return ""
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return f"Proxy-Authorization: Basic {b64encode(pair.encode()).decode()}\r\n"
