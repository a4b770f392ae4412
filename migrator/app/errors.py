"""What an application is told by a repository and a router: errors of their own for all that two stores may answer."""

from __future__ import annotations

from migrator.errors import MigratorError
from migrator.postgres.fence import SQLSTATE


class NotFoundError(MigratorError):
    """There is no such row."""


class ConflictError(MigratorError):
    """The row is not as it was read, or it cannot be beside others as it is."""


class UnavailableError(MigratorError):
    """A store did not answer, or not in time, or it is not known which one to ask."""


class ThrottledError(UnavailableError):
    """DynamoDB takes no more at this moment."""


class PausedError(UnavailableError):
    """No write is taken while the writes move from one store to the other. Nothing was written: try again."""


class FencedError(MigratorError):
    """PostgreSQL was to be written, or read, and DynamoDB is the master. Nothing was written."""


def is_fenced(error: BaseException) -> bool:
    """Whether PostgreSQL has refused a write because DynamoDB is written, or is about to be.

    It is told from the error of any driver, of SQLAlchemy or of a repository. The transaction has to be rolled back;
    nothing of it was written.
    """
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, FencedError) or SQLSTATE in {getattr(each, name, None) for name in ("sqlstate", "pgcode")}:
            return True
        each = getattr(each, "orig", None) or each.__cause__
    return False
