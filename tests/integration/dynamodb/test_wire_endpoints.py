from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb import Backoff, Client, check, get_item
from migrator.dynamodb.control import ask, connect
from migrator.dynamodb.errors import (
    CredentialsRefusedError,
    GaveUpError,
    NotDynamoDBError,
    TableMissingError,
    UnreachableError,
)
from migrator.errors import ConfigurationError, MigratorError, TargetError
from migrator.sandbox import DynamoDBEndpoint
from tests.support.faults import Answer, Exchange, Garble, Refuse, Stall
from tests.support.target import session_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

    from tests.support.fault_proxy import FaultProxy
    from tests.support.target import Target

KEY = {"PK": {"S": "a"}, "SK": {"S": "b"}}
QUICK = Backoff(base=0.001, cap=0.01)
# Made for these tests alone: for 127.0.0.1, signed by itself, valid for a century.
CERTIFICATE = Path(__file__).parent / "certificate.pem"


@asynccontextmanager
async def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers whatever comes with these bytes; yields its port and what it received."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(65536))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], received


def http(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


async def failure(endpoint_url: str, proxy: str | None = None) -> MigratorError:
    """The error of a single read at an endpoint, with little patience."""
    session = replace(session_of(DynamoDBEndpoint(endpoint_url)), proxy=proxy)
    async with Client(session, backoff=QUICK, patience=0.2) as client:
        with pytest.raises(MigratorError) as found:
            await get_item(client, "orders", KEY)
    return found.value


async def test_nobody_listening_is_told_with_the_endpoint() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = await failure(url)
        assert isinstance(found, GaveUpError)
        assert (found.exit_code, url in found.what) == (6, True)
        client = connect(session_of(DynamoDBEndpoint(url)))
        with pytest.raises(UnreachableError, match=url):
            ask(client, "describe_table", "orders", {"TableName": "orders"})
        client.close()


async def test_a_host_that_does_not_exist_is_told_with_its_name() -> None:
    found = await failure("http://no-such-host.invalid:8000")
    assert isinstance(found, GaveUpError)
    assert "no-such-host.invalid" in found.what


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html>It works!</html>"),
        http(b"<html>Forbidden</html>", "403 Forbidden"),
        http(b"", "301 Moved Permanently\r\nLocation: http://127.0.0.1:1/"),
        b"+OK this is another protocol\r\n\r\n",
    ],
)
async def test_what_is_not_dynamodb_is_told_at_once(answer: bytes) -> None:
    async with answering(answer) as (port, received):
        found = await failure(f"http://127.0.0.1:{port}")
        assert isinstance(found, NotDynamoDBError)
        assert f"127.0.0.1:{port}" in found.what
        assert len(received) == 1


async def test_https_on_a_port_that_speaks_http_is_told_at_once() -> None:
    async with answering(http(b"{}")) as (port, _):
        found = await failure(f"https://127.0.0.1:{port}")
        assert isinstance(found, NotDynamoDBError)
        assert "http or https" in (found.next_step or "")


async def test_a_certificate_is_checked_and_the_ca_bundle_decides() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(CERTIFICATE)
    async with answering(http(b"{}"), tls) as (port, received):
        found = await failure(f"https://127.0.0.1:{port}")
        assert isinstance(found, ConfigurationError)
        assert "AWS_CA_BUNDLE" in (found.next_step or "")
        assert received == []
        session = replace(session_of(DynamoDBEndpoint(f"https://127.0.0.1:{port}")), ca_bundle=str(CERTIFICATE))
        async with Client(session) as client:
            assert await get_item(client, "orders", KEY) is None


async def test_a_proxy_carries_the_requests_and_its_password_is_not_told() -> None:
    async with answering(http(b"{}")) as (port, received):
        proxy = f"http://user:word@127.0.0.1:{port}"
        session = replace(session_of(DynamoDBEndpoint("http://dynamodb.example")), proxy=proxy)
        async with Client(session) as client:
            assert await get_item(client, "orders", KEY) is None
        assert received[0].startswith(b"POST http://dynamodb.example/ HTTP/1.1\r\n")
    found = await failure("http://dynamodb.example", proxy=proxy)
    assert isinstance(found, GaveUpError)
    assert "word" not in f"{found.what} {found.next_step} {found.__cause__}"
    async with answering(http(b"", "407 Proxy Authentication Required")) as (port, _):
        found = await failure("https://dynamodb.example", proxy=f"http://user:word@127.0.0.1:{port}")
        assert isinstance(found, NotDynamoDBError)
        assert "the proxy" in found.what
        assert "word" not in found.what


async def test_a_server_that_never_answers_is_left_in_time(behind_proxy: Target, proxy: FaultProxy) -> None:
    async with Client(behind_proxy.session, backoff=QUICK, request_timeout=0.05, patience=0.3) as client:
        with proxy.failing(Stall()), pytest.raises(GaveUpError, match=r"within 0\.\d s"):
            await get_item(client, behind_proxy.table.name, KEY)
        proxy.release()
        assert await get_item(client, behind_proxy.table.name, KEY, consistent=False) is None
        assert client.counts.retries["timeout"] > 0


async def test_a_page_of_a_load_balancer_is_worth_another_attempt(behind_proxy: Target, proxy: FaultProxy) -> None:
    proxy.inject(Garble(status=503), times=2)
    async with Client(behind_proxy.session, backoff=QUICK) as client:
        assert await get_item(client, behind_proxy.table.name, KEY) is None
        assert client.counts.retries == {"server": 2}


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"])
async def test_refused_credentials_end_with_their_own_exit_code(
    behind_proxy: Target, proxy: FaultProxy, code: str
) -> None:
    proxy.inject(Refuse(code))
    async with behind_proxy.client() as client:
        with pytest.raises(CredentialsRefusedError, match=code) as found:
            await check(client, behind_proxy.table.name)
    assert found.value.exit_code == 4
    assert proxy.seen["DescribeTable"] == 1
    control = connect(behind_proxy.session)
    with pytest.raises(CredentialsRefusedError, match=code):
        ask(control, "describe_table", behind_proxy.table.name, {"TableName": behind_proxy.table.name})
    control.close()


async def test_a_table_is_checked_before_it_is_used(target: Target) -> None:
    async with target.client() as client:
        await check(client, target.table.name)
        with pytest.raises(TableMissingError, match=target.session.region) as found:
            await check(client, f"{target.table.name}-absent")
    assert target.session.endpoint_url in found.value.what
    assert "migrate prepare" in (found.value.next_step or "")


class InStatus:
    """Answers that the table has this status."""

    def __init__(self, status: str) -> None:
        self._status = status.encode()

    def fits(self, operation: str) -> bool:
        return operation == "DescribeTable"

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        real = await exchange.forward(exchange.body)
        return exchange.answer(Answer(real.status, {}, real.body.replace(b"ACTIVE", self._status)))


@pytest.mark.parametrize(("status", "words"), [("CREATING", "is being created"), ("DELETING", "DELETING")])
async def test_a_table_that_is_not_ready_is_not_used(
    behind_proxy: Target, proxy: FaultProxy, status: str, words: str
) -> None:
    proxy.inject(InStatus(status))
    async with behind_proxy.client() as client:
        with pytest.raises(TargetError, match=words) as found:
            await check(client, behind_proxy.table.name)
    assert found.value.next_step is not None
