"""What a repository raises: four errors of its own for all that the two stores may answer."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import exc

from migrator.dynamodb import errors as dynamodb
from migrator.errors import MigratorError, TargetError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRANSACTION_CONFLICTS: Final = ("40001", "40P01")
"""serialization_failure, deadlock_detected."""


class NotFoundError(MigratorError):
    """There is no such row."""


class ConflictError(MigratorError):
    """The row is not as it was read, or it cannot be beside others as it is."""


class UnavailableError(MigratorError):
    """A store did not answer, or not in time."""


class ThrottledError(UnavailableError):
    """DynamoDB takes no more at this moment."""


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
def target_explained(what: str) -> Iterator[None]:
    """Has errors of DynamoDB told in a repository's own."""
    try:
        yield
    except (TargetError, dynamodb.AnswerError) as error:
        if isinstance(error, dynamodb.ThrottledError) or isinstance(error.__cause__, dynamodb.ThrottledError):
            raise ThrottledError(f"{what}: DynamoDB takes no more requests now", next_step="try again later") from error
        raise UnavailableError(f"{what}: DynamoDB cannot be read", next_step="try again") from error
    except TimeoutError as error:
        raise UnavailableError(f"{what}: DynamoDB has not answered in time", next_step="try again") from error
