"""What carrying back has done, within which bounds, and who is told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from migrator.errors import MigratorError


@dataclass(frozen=True)
class Limits:
    """Keys that are carried back in one transaction, and the age in seconds of changes from which on it is an alarm."""

    batch: int = 200
    alarm_seconds: float = 3600.0


@dataclass
class Outcome:
    """What was carried back.

    Attributes:
        applied: rows that were written.
        deleted: rows that were deleted.
        skipped: changed keys for which nothing was to be done: the source had it already, or they are of entities that
            are not carried back.
        refused: times that the source has not taken a change back, which is tried again.
        aside: changes of these tables, of this run or others, that were refused when it ended.
        lag: how old the newest change was that was read where more may follow, in seconds; 0 where nothing was left.
        seconds: how long it took.
    """

    applied: int = 0
    deleted: int = 0
    skipped: int = 0
    refused: int = 0
    aside: int = 0
    lag: float = 0.0
    seconds: float = 0.0


class Listener(Protocol):
    """Who is told of what is carried back."""

    def progressed(self, outcome: Outcome) -> None:
        """Some changes were carried back."""

    def looked(self, outcome: Outcome) -> None:
        """So much was done; its `lag` and `aside` are those of now."""

    def refused(self, entity: str, reason: str) -> None:
        """The source does not take a change of an entity back, which is tried again."""

    def warned(self, sentence: str) -> None:
        """Something that the operator should see to; the work goes on."""

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed; the work goes on after so many seconds."""


class Silent:
    """A listener that tells nobody."""

    def progressed(self, outcome: Outcome) -> None:
        """As in `Listener`."""

    def looked(self, outcome: Outcome) -> None:
        """As in `Listener`."""

    def refused(self, entity: str, reason: str) -> None:
        """As in `Listener`."""

    def warned(self, sentence: str) -> None:
        """As in `Listener`."""

    def failed(self, error: MigratorError, pause: float) -> None:
        """As in `Listener`."""
