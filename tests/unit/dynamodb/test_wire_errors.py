from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from migrator.dynamodb.errors import (
    AccessDeniedError,
    AnswerError,
    Attempt,
    CredentialsRefusedError,
    InvalidRequestError,
    NotDynamoDBError,
    NotOfferedError,
    Place,
    ServerFaultError,
    TableBusyError,
    TableMissingError,
    Throttle,
    ThrottledError,
    TransientError,
    UnknownAnswerError,
    error_of_answer,
)

if TYPE_CHECKING:
    from migrator.errors import MigratorError

ATTEMPT = Attempt("BatchWriteItem", "orders", Place("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com"))


def error(code: str, message: str = "whatever AWS says this year", status: int = 400) -> MigratorError:
    body = orjson.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message})
    return error_of_answer(ATTEMPT, status, body)


@pytest.mark.parametrize(
    ("code", "expected", "exit_code"),
    [
        ("ProvisionedThroughputExceededException", ThrottledError, 6),
        ("ThrottlingException", ThrottledError, 6),
        ("RequestLimitExceeded", ThrottledError, 6),
        ("InternalServerError", ServerFaultError, 6),
        ("ValidationException", InvalidRequestError, 6),
        ("SerializationException", InvalidRequestError, 6),
        ("ResourceNotFoundException", TableMissingError, 6),
        ("ResourceInUseException", TableBusyError, 6),
        ("UnknownOperationException", NotOfferedError, 6),
        ("AccessDeniedException", AccessDeniedError, 6),
        ("ExpiredTokenException", CredentialsRefusedError, 4),
        ("UnrecognizedClientException", CredentialsRefusedError, 4),
        ("InvalidSignatureException", CredentialsRefusedError, 4),
        ("MissingAuthenticationTokenException", CredentialsRefusedError, 4),
    ],
)
def test_a_code_becomes_its_exception(code: str, expected: type[AnswerError], exit_code: int) -> None:
    found = error(code)
    assert type(found) is expected
    assert found.exit_code == exit_code
    assert found.code == code
    assert "eu-west-1" in found.what


def test_an_unknown_code_carries_status_and_body() -> None:
    found = error("CoffeeNotReadyException", status=418)
    assert type(found) is UnknownAnswerError
    assert (found.status, found.code) == (418, "CoffeeNotReadyException")
    assert orjson.loads(found.body)["message"] == found.message
    assert "BatchWriteItem on table orders" in found.what


@pytest.mark.parametrize("status", [500, 503])
def test_any_answer_with_status_5xx_is_worth_another_attempt(status: int) -> None:
    assert isinstance(error("NeverHeardOfException", status=status), TransientError)
    assert isinstance(error_of_answer(ATTEMPT, status, b"<html>Service Unavailable</html>"), TransientError)


@pytest.mark.parametrize("body", [b"<html>403 Forbidden</html>", b"", b"[1]", b'{"error":"no"}', b'{"__type":7}'])
def test_an_answer_that_is_not_dynamodbs_names_the_endpoint(body: bytes) -> None:
    found = error_of_answer(ATTEMPT, 403, body)
    assert type(found) is NotDynamoDBError
    assert "https://dynamodb.eu-west-1.amazonaws.com" in found.what


def test_a_missing_table_is_named_with_region_endpoint_and_the_next_command() -> None:
    found = error("ResourceNotFoundException")
    assert "orders" in found.what
    assert "https://dynamodb.eu-west-1.amazonaws.com" in found.what
    assert "migrate prepare" in (found.next_step or "")


def test_a_missing_privilege_is_named() -> None:
    found = error(
        "AccessDeniedException", "User: arn:aws:iam::1:user/u is not authorized to perform: dynamodb:TagResource"
    )
    assert "dynamodb:TagResource" in found.what
    assert "dynamodb:BatchWriteItem" in (found.next_step or "")


def test_a_refused_signature_does_not_repeat_what_was_signed() -> None:
    found = error("InvalidSignatureException", "The Canonical String should have been 'x-amz-security-token:SECRET'")
    assert "SECRET" not in f"{found.what} {found.next_step}"


TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"


@pytest.mark.parametrize(
    ("reason", "resource", "throttle"),
    [
        ("TableWriteProvisionedThroughputExceeded", TABLE_ARN, Throttle()),
        ("TableWriteMaxOnDemandThroughputExceeded", TABLE_ARN, Throttle()),
        ("TableWriteAccountLimitExceeded", TABLE_ARN, Throttle()),
        ("TableReadKeyRangeThroughputExceeded", TABLE_ARN, Throttle(key_range=True)),
        ("IndexWriteProvisionedThroughputExceeded", f"{TABLE_ARN}/index/by-date", Throttle("by-date")),
        ("IndexWriteKeyRangeThroughputExceeded", f"{TABLE_ARN}/index/by-date", Throttle("by-date", key_range=True)),
    ],
)
@pytest.mark.parametrize(
    ("code", "member"),
    [
        ("ProvisionedThroughputExceededException", "ThrottlingReasons"),
        ("ThrottlingException", "throttlingReasons"),
    ],
)
def test_what_is_throttled_is_told_by_dynamodbs_reasons(
    code: str, member: str, reason: str, resource: str, throttle: Throttle
) -> None:
    body = orjson.dumps({"__type": f"x#{code}", member: [{"reason": reason, "resource": resource}]})
    found = error_of_answer(ATTEMPT, 400, body)
    assert isinstance(found, ThrottledError)
    assert found.throttles == {throttle}


@pytest.mark.parametrize("reasons", [[], None, ["new"], [{}], [{"reason": 7}]])
def test_a_throttling_without_reasons_that_can_be_read_names_nothing(reasons: object) -> None:
    body = orjson.dumps({"__type": "x#ThrottlingException", "throttlingReasons": reasons})
    found = error_of_answer(ATTEMPT, 400, body)
    assert isinstance(found, ThrottledError)
    assert found.throttles == frozenset()
