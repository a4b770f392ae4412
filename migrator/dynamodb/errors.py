"""What DynamoDB may answer other than success: one table from the wire's error codes to exceptions.

Errors are told apart by their code, never by their message: AWS rewords messages. Exceptions under `TransientError` are
worth another attempt, which `Client` makes; all others are final.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from migrator.errors import ConfigurationError, MigratorError, TargetError

_MESSAGE_LENGTH = 400
_NOT_ACCEPTED = frozenset({"ItemCollectionSizeLimitExceeded", "ValidationError"})


@dataclass(frozen=True, slots=True)
class Place:
    """Which DynamoDB a request goes to, as far as a message may tell it."""

    region: str
    endpoint_url: str

    def __str__(self) -> str:
        return f"DynamoDB in region {self.region} at {self.endpoint_url}"


@dataclass(slots=True)
class Attempt:
    """What was asked: the operation, the table where one is concerned, and the place.

    `unclear` says that it was sent before, and that nobody knows whether it took effect then.
    """

    operation: str
    table: str | None
    place: Place
    unclear: bool = False

    def __str__(self) -> str:
        return self.operation if self.table is None else f"{self.operation} on table {self.table}"


class TransientError(TargetError):
    """A failure that may be gone at the next attempt; `reason` is the name it is counted under."""

    reason: ClassVar[str]


class UnreachableError(TransientError):
    """No connection could be made, or it was cut before the answer was complete."""

    reason = "connection"

    def __init__(self, what: str) -> None:
        super().__init__(
            what,
            next_step="check that the endpoint and the region are right, that the network and any proxy let requests "
            "through, then run the command again",
        )


class AnswerTimeoutError(UnreachableError):
    """The answer did not come within the time a request may take."""

    reason = "timeout"


class CorruptedAnswerError(TransientError):
    """The answer's body does not have the CRC32 that its header states."""

    reason = "corrupted"


class GaveUpError(TargetError):
    """Every attempt failed until the time allowed was over."""


class TooSlowError(GaveUpError):
    """The deadline passed while the table still took items: there was more than it takes in the time."""


class NotDynamoDBError(TargetError):
    """What answered does not speak DynamoDB's API."""


class AnswerError(MigratorError):
    """DynamoDB answered with an error: `status` is HTTP's, `code` the error's name, `message` DynamoDB's own words.

    `body` is the whole answer as it came. It and `message` may hold values of the request: neither is for a log.
    """

    sentence: ClassVar[str] = "{attempt} failed: {place} answered {code} (HTTP {status}): {message}"
    advice: ClassVar[str | None] = None

    def __init__(self, attempt: Attempt, *, status: int, code: str, message: str, body: bytes = b"") -> None:
        words = {
            "attempt": attempt,
            "operation": attempt.operation,
            "table": attempt.table or "?",
            "place": attempt.place,
            "status": status,
            "code": code,
            "message": message[:_MESSAGE_LENGTH] or "no message",
        }
        advice = self.advice and self.advice.format(**words)
        super().__init__(self.sentence.format(**words), next_step=advice)
        self.attempt = attempt
        self.status = status
        self.code = code
        self.message = message
        self.body = body


class UnknownAnswerError(AnswerError, TargetError):
    """An error code that has no meaning of its own here."""


@dataclass(frozen=True, slots=True)
class Throttle:
    """What is at its limit: the table or an index of it, as a whole or (`key_range`) one partition of it."""

    index: str | None = None
    key_range: bool = False


class ThrottledError(AnswerError, TransientError):
    """The table, an index, a partition or the account is at its limit."""

    reason = "throttled"
    sentence = "{attempt} was throttled: {place} answered {code}: {message}"
    advice = "lower `--max-wcu` or `--max-rcu`, or raise the capacity of the table and of its indexes"

    @property
    def throttles(self) -> frozenset[Throttle]:
        """What DynamoDB names as being at its limit; nothing where it gives no reasons, as an emulator does not.

        A reason is put together as `TableWriteKeyRangeThroughputExceeded` is; the resource is the ARN of a table, or
        of an index: `arn:aws:dynamodb:eu-west-1:1:table/orders/index/by-date`.
        """
        try:
            answer: Any = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return frozenset()
        # The two exceptions that carry reasons spell the member differently.
        reasons = answer.get("ThrottlingReasons") or answer.get("throttlingReasons") or ()
        return frozenset(
            Throttle(
                str(each.get("resource", "")).rpartition("/index/")[2] if each["reason"].startswith("Index") else None,
                "KeyRange" in each["reason"],
            )
            for each in reasons
            if isinstance(each, dict) and isinstance(each.get("reason"), str)
        )


class ServerFaultError(AnswerError, TransientError):
    """DynamoDB had a fault of its own (HTTP 5xx)."""

    reason = "server"


class InvalidRequestError(AnswerError, TargetError):
    """The request, or an item in it, is one that DynamoDB does not accept."""


class ConditionFailedError(AnswerError, TargetError):
    """A conditional write was refused: the key does not hold what the condition says."""


class TransactionCanceledError(AnswerError, TargetError):
    """None of a transaction's writes was made, since one of them could not be."""

    @property
    def reasons(self) -> list[str]:
        """DynamoDB's code for each write, in their order; `None` is the code of one that could have been made."""
        try:
            answer: Any = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return []
        return [str(each.get("Code")) for each in answer.get("CancellationReasons") or ()]

    @property
    def is_final(self) -> bool:
        """Whether DynamoDB does not accept one of the items, whatever the keys hold."""
        return not _NOT_ACCEPTED.isdisjoint(self.reasons)


class TableMissingError(AnswerError, TargetError):
    """No such table in this region and account."""

    sentence = "table {table} does not exist in {place}"
    advice = "run `migrate prepare` to create it, or correct region, endpoint, account or table name"


class TableBusyError(AnswerError, TargetError):
    """The table is being created, changed or deleted by somebody else."""

    sentence = "{attempt} must wait: {place} answered {code}: {message}"
    advice = "run the command again in a minute"


class TrimmedError(AnswerError, TargetError):
    """Records that are to be read are older than the 24 hours that a stream keeps them."""


class IteratorExpiredError(AnswerError, TargetError):
    """A shard iterator is older than the 15 minutes that one can be used."""


class NotOfferedError(AnswerError, TargetError):
    """This DynamoDB does not know the operation: an emulator, as a rule."""

    sentence = "{place} does not offer {operation}"


class AccessDeniedError(AnswerError, TargetError):
    """The credentials are valid, and not allowed to do this."""

    sentence = "{attempt} is not allowed to these credentials in {place}: {message}"
    advice = "allow dynamodb:{operation}, and what the message names, in the policy of this role or user"


class CredentialsRefusedError(AnswerError, ConfigurationError):
    """The credentials, or the signature made with them, were not accepted.

    DynamoDB's message is left out: for a signature it repeats the signed headers, the session token among them.
    """

    sentence = "the AWS credentials were refused: {place} answered {code} (HTTP {status}) to {attempt}"
    advice = "renew the credentials (`aws sso login`, or new keys), check the profile and this machine's clock"


_CODES: dict[type[AnswerError], tuple[str, ...]] = {
    ThrottledError: (
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
    ),
    ServerFaultError: (
        "InternalFailure",
        "InternalServerError",
        "ReplicatedWriteConflictException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "TransactionInProgressException",
    ),
    InvalidRequestError: ("ItemCollectionSizeLimitExceededException", "SerializationException", "ValidationException"),
    ConditionFailedError: ("ConditionalCheckFailedException",),
    TransactionCanceledError: ("TransactionCanceledException",),
    TableMissingError: ("ResourceNotFoundException", "TableNotFoundException"),
    TableBusyError: ("ContinuousBackupsUnavailableException", "LimitExceededException", "ResourceInUseException"),
    TrimmedError: ("TrimmedDataAccessException",),
    IteratorExpiredError: ("ExpiredIteratorException",),
    NotOfferedError: ("UnknownOperationException",),
    AccessDeniedError: ("AccessDenied", "AccessDeniedException"),
    CredentialsRefusedError: (
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ),
}
_CLASSES = {code: answer_class for answer_class, codes in _CODES.items() for code in codes}


def error_of_code(attempt: Attempt, *, status: int, code: str, message: str, body: bytes = b"") -> AnswerError:
    """The exception that stands for an error code; for one that is not in the table, HTTP's status decides."""
    fallback = ServerFaultError if status >= 500 else UnknownAnswerError  # noqa: PLR2004 - HTTP's own figure
    answer_class = _CLASSES.get(code, fallback)
    return answer_class(attempt, status=status, code=code, message=message, body=body)


def error_of_answer(attempt: Attempt, status: int, body: bytes) -> MigratorError:
    """The exception that stands for an HTTP answer other than 200."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    if isinstance(answer, dict) and isinstance(answer.get("__type"), str):
        # "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException"
        code = answer["__type"].rpartition("#")[2]
        message = str(answer.get("message") or answer.get("Message") or "")
        return error_of_code(attempt, status=status, code=code, message=message, body=body)
    if status >= 500:  # noqa: PLR2004 - a load balancer's page, not DynamoDB's answer
        return ServerFaultError(attempt, status=status, code="no code", message="", body=body)
    return not_dynamodb(attempt)


def not_dynamodb(attempt: Attempt) -> NotDynamoDBError:
    """The exception for an answer that is not in DynamoDB's format."""
    return NotDynamoDBError(
        f"{attempt} was answered, but not in DynamoDB's JSON: {attempt.place.endpoint_url} is not DynamoDB, or a proxy "
        "answers in its place",
        next_step="check `--endpoint-url`, AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL and HTTPS_PROXY",
    )
