from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from migrator import __version__
from migrator.dynamodb import Backoff, Client, connection
from migrator.dynamodb.errors import AnswerTimeoutError, NotDynamoDBError, UnreachableError
from tests.unit.dynamodb.scripted import Peer, http, request, serving, transport_to, turns
from tests.unit.dynamodb.wire import session

if TYPE_CHECKING:
    from migrator.dynamodb.transport import HttpTransport

CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One:  a b \r\n\r\n"
    b'5;name=value\r\n{"a":\r\n2\r\n1}\r\n0\r\nX-Trailer: t\r\n\r\n'
)
UNTIL_CLOSED = b'HTTP/1.1 200 OK\r\nX-One: a b\r\n\r\n{"a":1}'
PLAIN = http(b'{"a":1}', "X-One: a b")
PROVISIONAL = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\n" + PLAIN


async def answer_all(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.send(http(b"{}"))


def to(port: int) -> HttpTransport:
    return transport_to(f"http://127.0.0.1:{port}")


async def test_a_request_is_sent_as_one_message_with_its_length() -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.send(http(b"{}"))
        await peer.gone()

    async with serving(script) as server, transport_to(f"http://127.0.0.1:{server.port}/a path/%41") as transport:
        await transport(request('{"é":1}'.encode()))
    assert seen == [
        b"POST /a%20path/%41 HTTP/1.1\r\nHost: dynamodb.example\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\n"
        b"User-Agent: migrator/" + __version__.encode() + b'\r\nContent-Length: 8\r\n\r\n{"\xc3\xa9":1}'
    ]


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, UNTIL_CLOSED, PROVISIONAL])
@pytest.mark.parametrize("piece", [None, 1, 7])
async def test_an_answer_is_understood_however_it_arrives(answer: bytes, piece: int | None) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer, piece)

    async with serving(script) as server, to(server.port) as transport:
        response = await transport(request())
    assert (response.status, response.body, response.headers["x-one"]) == (200, b'{"a":1}', "a b")


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, PROVISIONAL])
async def test_an_answer_may_be_split_anywhere(answer: bytes) -> None:
    splits = iter(range(1, len(answer)))

    async def script(peer: Peer) -> None:
        for split in splits:
            await peer.request()
            await peer.send(answer[:split], split)
            await peer.send(answer[split:])
        await peer.gone()

    async with serving(script) as server, to(server.port) as transport:
        for _ in range(1, len(answer)):
            response = await transport(request())
            assert (response.status, response.body, response.headers["x-one"]) == (200, b'{"a":1}', "a b")
        assert server.connections == 1


async def test_large_messages_pass_both_ways() -> None:
    body = bytes(range(256)) * 40_000

    async def script(peer: Peer) -> None:
        received = await peer.request()
        await peer.send(http(received.partition(b"\r\n\r\n")[2]))

    async with serving(script) as server, to(server.port) as transport:
        assert (await transport(request(body))).body == body


async def test_a_connection_serves_one_request_after_the_other_and_never_two_at_once() -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            # Whatever came before the answer would be a second request.
            early = asyncio.ensure_future(peer.reader.read(1))
            await turns()
            assert not early.done()
            early.cancel()
            await turns()
            await peer.send(http(b"%d" % peer.number))

    async with serving(script) as server, to(server.port) as transport:
        assert [(await transport(request())).body for _ in range(20)] == [b"1"] * 20
        together = await asyncio.gather(*(transport(request()) for _ in range(8)))
        assert sorted(response.body for response in together) == [b"%d" % number for number in range(1, 9)]
        await asyncio.gather(*(transport(request()) for _ in range(8)))
        assert server.connections == 8


@pytest.mark.parametrize(
    "answer",
    [
        http(b"{}", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        http(b"{}") + b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfor nobody"[:-1],
        http(b"{}") + b"and more",
        http(b"{}", "Connection: close") + b"and more",
    ],
)
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.gone()

    async with serving(script) as server, to(server.port) as transport:
        for _ in range(3):
            assert (await transport(request())).body == b"{}"
        assert server.connections == 3


async def test_what_comes_unasked_is_never_the_answer_to_a_later_request() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(b"1"))
        await turns()
        await peer.send(http(b"unasked"))
        await peer.gone()

    async with serving(script) as server, to(server.port) as transport:
        assert (await transport(request())).body == b"1"
        await turns()
        await turns()
        assert (await transport(request())).body == b"1"
        assert server.connections == 2


async def test_an_answer_before_the_request_was_read_is_taken_and_the_connection_left() -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.send(http(b"{}", status="413 Payload Too Large"))
        await peer.gone()

    async with serving(script) as server, to(server.port) as transport:
        for _ in range(2):
            assert (await transport(request(b"x" * 16_000_000))).status == 413
        assert server.connections == 2


@pytest.mark.parametrize("answer", [b"", PLAIN[:9], PLAIN[:-1], CHUNKED[:-1], b"HTTP/1.1 200 OK\r\nX-On"])
async def test_an_answer_that_is_cut_is_worth_another_attempt(answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)

    async with serving(script) as server, to(server.port) as transport:
        with pytest.raises(UnreachableError, match=str(server.port)):
            await transport(request())


async def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced_unseen() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(b"{}"))

    async with serving(script) as server, Client(session(f"http://127.0.0.1:{server.port}")) as client:
        for _ in range(3):
            assert await client.call("PutItem", b"{}") == {}
            await turns()
        assert not client.counts.retries
        assert server.connections == 3


async def test_a_kept_connection_that_is_closed_as_the_request_comes_is_counted_and_tried_again() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(b"{}"))
        await peer.request()

    async with (
        serving(script) as server,
        Client(session(f"http://127.0.0.1:{server.port}"), backoff=Backoff(base=0.001)) as client,
    ):
        for _ in range(3):
            assert await client.call("PutItem", b"{}") == {}
        assert client.counts.retries == {"connection": 2}
        assert client.counts.requests == 5


@pytest.mark.parametrize(
    "answer",
    [
        b"+OK this is another protocol\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n",
    ],
)
async def test_what_is_no_http_is_told_and_the_connection_closed(answer: bytes) -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.gone()
        closed.set()

    async with serving(script) as server, to(server.port) as transport:
        with pytest.raises(NotDynamoDBError, match="did not answer as DynamoDB does") as found:
            await transport(request())
        await closed.wait()
    assert "http or https" in (found.value.next_step or "")


@pytest.mark.parametrize("endless", [b"X-Header: more\r\n" * 256, b"x" * 4096])
async def test_an_answer_without_end_is_refused(monkeypatch: pytest.MonkeyPatch, endless: bytes) -> None:
    monkeypatch.setattr(connection, "LARGEST_ANSWER", 2**20)

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\n" + (b"" if endless.startswith(b"X-") else b"\r\n"))
        while True:
            await peer.send(endless)

    async with serving(script) as server, to(server.port) as transport:
        with pytest.raises(NotDynamoDBError, match="larger than 1 MiB"):
            await transport(request())


@pytest.mark.parametrize("answer", [b"", PLAIN[:-1]])
async def test_a_server_that_stalls_is_left_at_the_deadline(answer: bytes) -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(answer)
        await peer.gone()
        closed.set()

    async with serving(script) as server, to(server.port) as transport:
        with pytest.raises(AnswerTimeoutError, match=r"PutItem within 0\.1 s"):
            await transport(request(timeout=0.1))
        await closed.wait()


async def test_each_request_on_a_connection_has_its_own_deadline() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(b"1"))
        await peer.request()
        await asyncio.sleep(0.2)
        await peer.send(http(b"2"))
        await peer.request()
        await peer.gone()

    async with serving(script) as server, to(server.port) as transport:
        assert (await transport(request(timeout=0.1))).body == b"1"
        # The first one's deadline passes while this one waits.
        assert (await transport(request(timeout=10.0))).body == b"2"
        with pytest.raises(AnswerTimeoutError):
            await transport(request(timeout=0.1))
        assert server.connections == 1


async def test_a_request_that_is_cancelled_closes_its_connection() -> None:
    asked, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        closed.set()

    async with serving(script) as server, to(server.port) as transport:
        task = asyncio.create_task(transport(request()))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await closed.wait()


async def test_idle_connections_are_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_IDLE_SECONDS", 0.05)
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(http(b"{}"))
        await peer.gone()
        closed.set()

    async with serving(script) as server, to(server.port) as transport:
        await transport(request(timeout=0.05))
        await closed.wait()
        assert (await transport(request())).body == b"{}"
        assert server.connections == 2


async def test_leaving_the_transport_closes_every_connection_and_ends_what_is_under_way() -> None:
    closed = 0

    async def script(peer: Peer) -> None:
        nonlocal closed
        await peer.request()
        if peer.number > 2:
            await peer.send(http(b"{}"))
        await peer.gone()
        closed += 1

    async with serving(script) as server:
        async with to(server.port) as transport:
            waiting = [asyncio.create_task(transport(request())) for _ in range(4)]
            await asyncio.wait(waiting[2:])
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert sorted(isinstance(each, UnreachableError) for each in ended) == [False, False, True, True]
        await turns()
        assert closed == 4
        with pytest.raises(RuntimeError, match="outside"):
            await transport(request())
