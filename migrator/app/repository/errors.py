"""How what the two stores answer is told in the errors of `migrator.app.errors`."""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc

from migrator.app.errors import ConflictError, FencedError, ThrottledError, UnavailableError, is_fenced
from migrator.dynamodb import errors as dynamodb
from migrator.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRANSACTION_CONFLICTS: Final = ("40001", "40P01")
"""serialization_failure, deadlock_detected."""


@contextmanager
def source_explained(what: str) -> Iterator[None]:
    """Has errors of PostgreSQL told in a repository's own."""
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(
            f"{what}: another row has the same unique values, or a row that it refers to is not there",
            safe="the transaction has to be rolled back",
            next_step="read the rows again",
        ) from error
    except exc.DBAPIError as error:
        if is_fenced(error):
            raise FencedError(
                f"{what}: PostgreSQL is not written any more, DynamoDB is, or is about to be",
                safe="nothing was written; the transaction has to be rolled back",
                next_step="write in a block of the repository's `writing()`, which goes where the master is",
            ) from error
        if getattr(error.orig, "sqlstate", None) in _TRANSACTION_CONFLICTS:
            raise ConflictError(
                f"{what}: another transaction was in the way",
                safe="the transaction has to be rolled back",
                next_step="run the transaction again",
            ) from error
        if isinstance(error, exc.OperationalError | exc.InterfaceError) or error.connection_invalidated:
            raise UnavailableError(f"{what}: PostgreSQL does not answer", next_step="try again") from error
        raise
    except (exc.TimeoutError, OSError) as error:
        raise UnavailableError(f"{what}: PostgreSQL does not answer", next_step="try again") from error


@contextmanager
def target_explained(what: str, safe: str | None = None) -> Iterator[None]:
    """Has errors of DynamoDB told in a repository's own."""
    try:
        yield
    except (TargetError, dynamodb.AnswerError) as error:
        again = "try again"
        if isinstance(error, dynamodb.ThrottledError) or isinstance(error.__cause__, dynamodb.ThrottledError):
            raise ThrottledError(f"{what}: DynamoDB takes no more requests now", safe=safe, next_step=again) from error
        raise UnavailableError(f"{what}: DynamoDB does not serve it", safe=safe, next_step=again) from error
    except (TimeoutError, CancelledError) as error:
        raise UnavailableError(
            f"{what}: DynamoDB has not answered in time", safe=safe, next_step="try again"
        ) from error


def no_sessions(what: str) -> UnavailableError:
    """What is wrong where PostgreSQL is to be asked or written, and the repository was given no sessions."""
    return UnavailableError(
        f"{what}: PostgreSQL is the master, and the repository has no sessions",
        safe="nothing was written",
        next_step="give it the application's sessionmaker",
    )
