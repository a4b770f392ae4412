from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb import Backoff, Client, Request, Response
from migrator.dynamodb.errors import (
    AnswerTimeoutError,
    ConditionFailedError,
    GaveUpError,
    InvalidRequestError,
    NotDynamoDBError,
    UnreachableError,
)
from tests.unit.dynamodb.wire import answer, error_answer, run_at_once, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.dynamodb import Transport


def in_turn(*outcomes: Response | Exception) -> Transport:
    """A transport whose answers are these, one after the other."""
    left = iter(outcomes)

    async def send(_request: Request) -> Response:
        outcome = next(left)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return send


def always(make: Callable[[], Response]) -> Transport:
    async def send(_request: Request) -> Response:
        return make()

    return send


async def test_a_request_is_signed_for_its_operation() -> None:
    sent: list[Request] = []

    async def send(request: Request) -> Response:
        sent.append(request)
        return answer({"Table": {}})

    async with Client(session(), transport=send) as client:
        assert await client.call("DescribeTable", b'{"TableName":"t"}') == {"Table": {}}
    assert sent[0].body == b'{"TableName":"t"}'
    assert sent[0].headers["X-Amz-Target"] == "DynamoDB_20120810.DescribeTable"
    assert sent[0].headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")


def test_what_may_pass_is_tried_again_and_counted_by_reason() -> None:
    damaged = Response(200, {"x-amz-crc32": "1"}, b"{}")
    transport = in_turn(
        error_answer("ProvisionedThroughputExceededException"),
        error_answer("ThrottlingException"),
        error_answer("InternalServerError", status=500),
        Response(502, {}, b"<html>Bad Gateway</html>"),
        UnreachableError("cut"),
        AnswerTimeoutError("slow"),
        damaged,
        answer({"Items": []}),
    )

    async def work() -> None:
        async with Client(session(), transport=transport) as client:
            assert await client.call("Scan", b"{}") == {"Items": []}
            assert client.counts.requests == 8
            assert client.counts.retries == {"throttled": 2, "server": 2, "connection": 1, "timeout": 1, "corrupted": 1}
            assert client.counts.throttles == 2

    run_at_once(work())


def test_a_refusal_is_not_tried_again() -> None:
    async def work() -> None:
        async with Client(session(), transport=in_turn(error_answer("ValidationException"))) as client:
            with pytest.raises(InvalidRequestError):
                await client.call("Scan", b"{}", table="t")

    run_at_once(work())


def test_attempts_end_with_the_patience_and_tell_how_long_they_were_made() -> None:
    async def work() -> None:
        transport = always(lambda: error_answer("ThrottlingException"))
        async with Client(session(), transport=transport, patience=90.0) as client:
            with pytest.raises(GaveUpError, match=r"BatchWriteItem on table orders .* within \d\d\.\d s") as found:
                await client.call("BatchWriteItem", b"{}", table="orders")
        assert "ThrottlingException" in found.value.what
        assert found.value.exit_code == 6
        assert 60.0 < asyncio.get_running_loop().time() < 90.0

    run_at_once(work())


def test_nothing_is_sent_after_the_deadline() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()

        async def send(request: Request) -> Response:
            assert loop.time() < 10.0
            assert request.timeout <= 10.0 - loop.time()
            return error_answer("InternalServerError", status=500)

        async with Client(session(), transport=send, backoff=Backoff(base=0.5)) as client:
            with pytest.raises(GaveUpError):
                await client.call("PutItem", b"{}", deadline=10.0)
            sent = client.counts.requests
            with pytest.raises(GaveUpError, match="was not sent"):
                await client.call("PutItem", b"{}", deadline=loop.time())
            assert client.counts.requests == sent

    run_at_once(work())


def test_a_request_that_waits_for_its_turn_past_its_deadline_is_not_sent() -> None:
    async def work() -> None:
        async def send(_request: Request) -> Response:
            await asyncio.sleep(5.0)
            return answer({})

        async with Client(session(), transport=send, max_in_flight=1) as client:
            first = asyncio.create_task(client.call("PutItem", b"{}", deadline=3.0))
            second = asyncio.create_task(client.call("PutItem", b"{}", deadline=3.0))
            with pytest.raises(GaveUpError, match="was not sent"):
                await second
            assert await first == {}
            assert client.counts.requests == 1

    run_at_once(work())


def test_requests_in_flight_are_bounded_and_a_pause_takes_no_slot() -> None:
    async def work() -> None:
        under_way, most, answers = 0, 0, iter([error_answer("ThrottlingException")] * 40)

        async def send(_request: Request) -> Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(1.0)
            under_way -= 1
            return next(answers, answer({}))

        async with Client(session(), transport=send, max_in_flight=3) as client:
            await asyncio.gather(*(client.call("PutItem", b"{}") for _ in range(20)))
            assert client.counts.requests == 60
        assert most == 3

    run_at_once(work())


@pytest.mark.parametrize("body", [b"<html>It works!</html>", b"", b"[]", b"\xff"])
async def test_an_answer_that_is_no_json_object_is_not_dynamodbs(body: bytes) -> None:
    async with Client(session(), transport=in_turn(Response(200, {}, body))) as client:
        with pytest.raises(NotDynamoDBError, match="is not DynamoDB"):
            await client.call("DescribeTable", b"{}", table="t")


def test_a_refusal_tells_whether_an_earlier_attempt_may_have_taken_effect() -> None:
    refused = error_answer("ConditionalCheckFailedException")

    async def work() -> None:
        for before, unclear in (
            ((), False),
            ((error_answer("ThrottlingException"),), False),
            ((UnreachableError("cut"),), True),
            ((error_answer("InternalServerError", status=500), error_answer("ThrottlingException")), True),
        ):
            async with Client(session(), transport=in_turn(*before, refused)) as client:
                with pytest.raises(ConditionFailedError) as found:
                    await client.call("PutItem", b"{}", table="t")
                assert found.value.attempt.unclear is unclear

    run_at_once(work())
