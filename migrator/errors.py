"""What can go wrong in a way a user can act on: one base class, and one class per exit code.

A message says what failed and where; `safe` says what has not been harmed; `next_step` says what to do. The command
line prints the three and ends with `exit_code`; a library caller catches `MigratorError`.
"""

from __future__ import annotations

from typing import ClassVar


class MigratorError(Exception):
    """An expected failure: it is reported as a message, never as a traceback."""

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, safe: str | None = None, next_step: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.safe = safe
        self.next_step = next_step


class UsageError(MigratorError):
    """The command was called with words that name nothing."""

    exit_code = 2


class ConfigurationError(MigratorError):
    """Settings, mapping modules or credentials cannot be used as they are."""

    exit_code = 4


class SourceError(MigratorError):
    """PostgreSQL cannot be reached, or may not be used as it is."""

    exit_code = 5


class TargetError(MigratorError):
    """DynamoDB cannot be reached, or may not be used as it is."""

    exit_code = 6


class LockedError(MigratorError):
    """Another run holds the lock, or a checkpoint belongs to other work."""

    exit_code = 7


class GateError(MigratorError):
    """A gate refuses the step."""

    exit_code = 8
