from __future__ import annotations

import re
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from migrator.dynamodb import Client, Response
from migrator.dynamodb.clock import ClockDiffersError
from migrator.dynamodb.errors import CredentialsRefusedError, InvalidRequestError
from tests.unit.dynamodb.wire import error_answer, session

if TYPE_CHECKING:
    from migrator.dynamodb import Request
    from migrator.errors import MigratorError

SIGNATURE = "InvalidSignatureException"


async def refusal(code: str, date: str | None) -> MigratorError:
    """The error of a request that is answered with this code and this `Date`."""
    answer = error_answer(code)
    headers = {**answer.headers, **({} if date is None else {"date": date})}

    async def send(_request: Request) -> Response:
        return Response(answer.status, headers, answer.body)

    async with Client(session(), transport=send) as client:
        with pytest.raises((ClockDiffersError, CredentialsRefusedError, InvalidRequestError)) as found:
            await client.call("BatchWriteItem", b"{}", table="orders")
    return found.value


def server_date(ahead_of_ours: float) -> str:
    return formatdate(time.time() + ahead_of_ours, usegmt=True)


@pytest.mark.parametrize(
    ("server_ahead", "words"), [(3600.0, r"(1:00:0|0:59:5)\d behind"), (-420.0, r"(0:07:0|0:06:5)\d ahead of")]
)
@pytest.mark.parametrize("code", [SIGNATURE, "RequestTimeTooSkewed", "SignatureDoesNotMatch"])
async def test_a_clock_that_differs_is_told_with_the_difference(code: str, server_ahead: float, words: str) -> None:
    found = await refusal(code, server_date(server_ahead))
    assert isinstance(found, ClockDiffersError)
    assert found.exit_code == 4
    assert re.search(words, found.what)
    assert code in found.what
    assert "BatchWriteItem on table orders" in found.what
    assert "clock" in (found.next_step or "")


@pytest.mark.parametrize("date", [None, "the day before yesterday"])
async def test_a_clock_of_which_nothing_is_known_is_not_blamed(date: str | None) -> None:
    assert type(await refusal(SIGNATURE, date)) is CredentialsRefusedError


@pytest.mark.parametrize(
    ("code", "server_ahead"), [(SIGNATURE, 0.0), (SIGNATURE, 240.0), ("ExpiredTokenException", 3600.0)]
)
async def test_a_clock_that_is_right_is_not_blamed(code: str, server_ahead: float) -> None:
    assert type(await refusal(code, server_date(server_ahead))) is CredentialsRefusedError


async def test_another_refusal_has_nothing_to_do_with_the_clock() -> None:
    assert type(await refusal("ValidationException", server_date(3600.0))) is InvalidRequestError
