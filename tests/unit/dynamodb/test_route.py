from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb.errors import NotDynamoDBError, UnreachableError
from migrator.errors import ConfigurationError
from tests.unit.dynamodb.scripted import Peer, http, request, server_tls, serving, transport_to

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

SAID_YES = b"HTTP/1.1 200 Connection established\r\nX-Proxy: tests\r\n\r\n"


async def answer_all(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(http(b"{}"))


async def stall(peer: Peer) -> None:
    await peer.gone()


def tunnelling(
    heads: list[bytes], answer: bytes = SAID_YES, piece: int | None = None
) -> Callable[[Peer], Awaitable[None]]:
    """A proxy's script: it answers CONNECT, and carries on what follows where it said yes."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def script(peer: Peer) -> None:
        heads.append(await peer.request())
        await peer.send(answer, piece)
        if answer is not SAID_YES:
            return
        port = int(heads[-1].partition(b" HTTP/1.1")[0].rpartition(b":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(carry(peer.reader, writer), carry(reader, peer.writer))
        finally:
            writer.close()

    return script


async def test_tls_is_spoken_with_the_endpoint_and_kept_alive() -> None:
    async with serving(answer_all, server_tls()) as server:
        async with transport_to(f"https://127.0.0.1:{server.port}") as transport:
            for body in (b"{}", b"x" * 3_000_000, b"{}"):
                assert (await transport(request(body))).body == b"{}"
        assert server.connections == 1


async def test_the_certificate_must_be_for_the_name_that_was_asked_for() -> None:
    names: list[str | None] = []

    def on_name(_tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        names.append(name)

    tls = server_tls()
    tls.sni_callback = on_name
    async with serving(answer_all, tls) as server, transport_to(f"https://localhost:{server.port}") as transport:
        with pytest.raises(ConfigurationError, match=r"certificate of https://localhost.* is not trusted") as found:
            await transport(request())
    assert set(names) == {"localhost"}
    assert "AWS_CA_BUNDLE" in (found.value.next_step or "")


async def test_tls_that_never_begins_is_given_up_after_the_time_to_connect() -> None:
    async with (
        serving(stall) as server,
        transport_to(f"https://127.0.0.1:{server.port}", connect_timeout=0.1) as transport,
    ):
        with pytest.raises(UnreachableError, match="no connection in time"):
            await transport(request())


def addresses(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let every name have these addresses."""

    async def getaddrinfo(_host: str, port: int, **_: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (name, port)) for name in names]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_the_next_address_of_a_name_is_tried_where_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch, "127.0.0.2", "127.0.0.1")
    async with serving(answer_all) as server, transport_to(f"http://dynamodb.example:{server.port}") as transport:
        assert (await transport(request())).body == b"{}"


async def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch, "127.0.0.2", "127.0.0.1")
    async with serving(answer_all, server_tls()) as server, serving(stall, at=("127.0.0.2", server.port)) as dead:
        url = f"https://127.0.0.1:{server.port}"
        async with transport_to(url, connect_timeout=2.0) as transport:
            assert (await transport(request())).body == b"{}"
        assert (dead.connections, server.connections) == (1, 1)


async def test_a_name_without_an_address_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses(monkeypatch)
    async with transport_to("http://dynamodb.example") as transport:
        with pytest.raises(UnreachableError, match="the name has no address"):
            await transport(request())


@pytest.mark.parametrize("tls", [False, True])
async def test_requests_cancelled_while_they_connect_leave_no_socket(
    monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    addresses(monkeypatch, "127.0.0.1")
    scheme = "https" if tls else "http"
    async with (
        serving(answer_all, server_tls() if tls else None) as server,
        transport_to(f"{scheme}://127.0.0.1:{server.port}") as transport,
    ):
        for round_ in range(60):
            tasks = [asyncio.create_task(transport(request())) for _ in range(4)]
            for _ in range(round_ % 15):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert (await transport(request())).body == b"{}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in caught if "socket" in str(warning.message)] == []


async def test_a_connection_cut_while_tls_begins_is_worth_another_attempt() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)

    async with serving(script) as server, transport_to(f"https://127.0.0.1:{server.port}") as transport:
        with pytest.raises(UnreachableError):
            await transport(request())


async def test_a_proxy_is_sent_whole_urls_and_its_credentials_with_each_request() -> None:
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            heads.append(await peer.request())
            await peer.send(http(b"{}"))

    async with serving(script) as server:
        proxy = f"http://user%40home:p%3Ass@127.0.0.1:{server.port}"
        async with transport_to("http://dynamodb.example:8000/v1", proxy=proxy) as transport:
            for _ in range(2):
                assert (await transport(request())).body == b"{}"
        assert server.connections == 1
    start = (
        b"POST http://dynamodb.example:8000/v1 HTTP/1.1\r\nProxy-Authorization: Basic dXNlckBob21lOnA6c3M=\r\nHost: "
    )
    assert [head.startswith(start) for head in heads] == [True, True]


@pytest.mark.parametrize("piece", [None, 1])
@pytest.mark.parametrize("proxy_tls", [False, True])
async def test_a_proxy_connects_and_sees_nothing_of_what_is_said(*, proxy_tls: bool, piece: int | None) -> None:
    heads: list[bytes] = []
    async with (
        serving(answer_all, server_tls()) as server,
        serving(tunnelling(heads, piece=piece), server_tls() if proxy_tls else None) as between,
    ):
        proxy = f"{'https' if proxy_tls else 'http'}://user:word@127.0.0.1:{between.port}"
        async with transport_to(f"https://127.0.0.1:{server.port}", proxy=proxy) as transport:
            for _ in range(3):
                assert (await transport(request(b"x" * 100_000))).body == b"{}"
        assert (server.connections, between.connections) == (1, 1)
        address = f"127.0.0.1:{server.port}".encode()
        credentials = b"Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n"
        assert heads == [b"CONNECT " + address + b" HTTP/1.1\r\nHost: " + address + b"\r\n" + credentials + b"\r\n"]


async def test_the_certificate_is_checked_behind_a_proxy_too() -> None:
    async with serving(answer_all, server_tls()) as server, serving(tunnelling([])) as between:
        proxy = f"http://user:word@127.0.0.1:{between.port}"
        async with transport_to(f"https://localhost:{server.port}", proxy=proxy) as transport:
            with pytest.raises(ConfigurationError, match="is not trusted") as found:
                await transport(request())
        assert "word" not in f"{found.value.what} {found.value.__cause__}"


@pytest.mark.parametrize(
    ("answer", "expected", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", NotDynamoDBError, "the proxy .*HTTP 407"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!", NotDynamoDBError, "the proxy"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", UnreachableError, "the proxy .*HTTP 503"),
        (b"220 mail.example ESMTP\r\n\r\n", NotDynamoDBError, "no answer in HTTP"),
        (b"x" * 70_000, NotDynamoDBError, "no answer in HTTP"),
        (b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK", NotDynamoDBError, "no answer in HTTP"),
        (b"", UnreachableError, "the proxy closed the connection"),
    ],
)
async def test_a_proxy_that_does_not_connect_is_told_without_its_password(
    answer: bytes, expected: type[Exception], words: str
) -> None:
    heads: list[bytes] = []
    async with serving(tunnelling(heads, answer)) as between:
        proxy = f"user:word@127.0.0.1:{between.port}"
        async with transport_to("https://[::1]:8443", proxy=proxy) as transport:
            with pytest.raises(expected, match=words) as found:
                await transport(request())
        assert f"127.0.0.1:{between.port}" in str(found.value)
        assert "word" not in f"{found.value} {found.value.__cause__}"
    assert heads[0].startswith(b"CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\n")


async def test_a_proxy_that_stalls_is_given_up_after_the_time_to_connect() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.gone()
        closed.set()

    async with serving(script) as between:
        proxy = f"http://127.0.0.1:{between.port}"
        async with transport_to("https://dynamodb.example", proxy=proxy, connect_timeout=0.1) as transport:
            with pytest.raises(UnreachableError, match="no connection in time"):
                await transport(request())
            await closed.wait()


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://", "http://proxy:word@proxy:port", "http://[::1"])
def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_sent(proxy: str) -> None:
    with pytest.raises(ConfigurationError, match="proxy") as found:
        transport_to("https://dynamodb.example", proxy=proxy)
    assert "HTTPS_PROXY" in (found.value.next_step or "")
    assert "word" not in found.value.what
