"""A refused signature that this machine's clock explains: AWS accepts one only within five minutes of its date."""

from __future__ import annotations

import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.errors import AnswerError
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from migrator.errors import MigratorError

_TOLERATED_SECONDS: Final = 300
# Which of these a clock brings about has changed over the years; the difference itself is read from the answer's date.
_CODES: Final = {
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}


class ClockDiffersError(ConfigurationError):
    """This machine's clock and DynamoDB's differ by more than a signature allows."""


def explained(error: MigratorError, date: str | None) -> MigratorError:
    """The error, or the difference of the clocks where that is why a signature was refused.

    Args:
        error: what DynamoDB answered.
        date: the answer's `Date` header, if it has one.
    """
    if not isinstance(error, AnswerError) or error.code not in _CODES or date is None:
        return error
    try:
        ahead = time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return error
    if abs(ahead) <= _TOLERATED_SECONDS:
        return error
    difference = f"{timedelta(seconds=round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'}"
    return ClockDiffersError(
        f"this machine's clock is {difference} that of "
        f"{error.attempt.place}, which therefore answered {error.code} to {error.attempt}",
        safe="nothing was written by this request",
        next_step="set this machine's clock (let NTP keep it), then run the command again: it continues where it was",
    )
