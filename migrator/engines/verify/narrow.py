"""A verification that does not look at everything: which rows, what that says of the rest, and what it cannot see."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from migrator.errors import UsageError
from migrator.postgres import row_filters, verifications

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.engines.verify.scope import Scope
    from migrator.mapping import Model
    from migrator.postgres.connection import Connection
    from migrator.postgres.rows import Key
    from migrator.postgres.verifications import Verification
    from migrator.reconcile import Lookup

_SEARCHED: Final = 100
_SURE: Final = 0.95
_MOST_SEGMENTS: Final = 1_000_000


@dataclass(frozen=True)
class Since:
    """Only rows that were changed since then, as `column` says; `asked` is how it was asked for."""

    moment: datetime
    column: str
    asked: str


@dataclass(frozen=True)
class Narrow:
    """What is asked for of a verification that does not look at everything.

    Attributes:
        sample: percent of the rows, and of the target's items.
        since: rows that were changed since.
        after, until: rows of one table whose keys are in (`after`, `until`], None being no bound.
    """

    sample: float | None = None
    since: Since | None = None
    after: Key | None = None
    until: Key | None = None

    @property
    def key_range(self) -> str | None:
        """The range of keys, in words."""
        if self.after is None and self.until is None:
            return None
        words = (("after", self.after), ("up to", self.until))
        return " and ".join(f"{word} {','.join(key)}" for word, key in words if key is not None)

    @property
    def asked(self) -> bool:
        """Whether it asks for less than everything."""
        return (self.sample, self.since, self.key_range) != (None, None, None)

    def not_verified(self) -> list[str]:
        """What such a verification says nothing about."""
        words = []
        if self.since is not None:
            words.append(
                f"Rows whose {self.since.column} is before {self.since.moment:%Y-%m-%d %H:%M:%S} UTC: among them any "
                "that were changed without setting it, or by a transaction that was open then."
            )
            words.append("Rows that were deleted, and items that no row asks for.")
        elif self.key_range is not None:
            words.append("Items that no row asks for, and rows whose keys are outside the range.")
        elif self.sample is not None:
            words.append(f"The rows that were not drawn, and extra items outside {self.sample:g} % of the target.")
        return words


async def narrowed(
    control: Connection, model: Model, lookups: Sequence[Lookup], scope: Scope, started: datetime
) -> Narrow:
    """What a scope asks for, with times and keys as the source knows them.

    Raises:
        UsageError: it asks for what these tables cannot give; the message says what is possible.
        SourceError: PostgreSQL cannot be reached.
    """
    if sum(each is not None for each in (scope.sample, scope.since, scope.after or scope.until)) > 1:
        raise UsageError(
            "--sample, --since and a range of keys each say which rows to look at",
            safe="Nothing was read.",
            next_step="Give one of them.",
        )
    since = None if scope.since is None else await _since(control, model, scope, started)
    narrow = Narrow(scope.sample, since, scope.after, scope.until)
    if narrow.key_range is not None:
        if len(lookups) != 1:
            raise UsageError(
                "a range of keys is of one table",
                safe="Nothing was read.",
                next_step=f"Name the table: {', '.join(each.entity.source_name for each in lookups)}.",
            )
        # Keys that cannot be read as such are refused before anything is read.
        await lookups[0].source.expected(control, narrow.after, narrow.until)
    return narrow


def conditions(narrow: Narrow, lookups: Sequence[Lookup], started: datetime) -> dict[str, str]:
    """The condition on the rows of each source table; the same ones for a verification that is gone on with.

    Raises:
        UsageError: a table has no column that says when its rows were changed.
    """
    found = {}
    for each in lookups:
        if narrow.sample is not None:
            found[each.entity.source_name] = row_filters.drawn(each.live, narrow.sample, int(started.timestamp()))
        if narrow.since is not None:
            since = narrow.since
            found[each.entity.source_name] = row_filters.changed_since(each.live, since.column, since.moment)
    return found


async def _since(control: Connection, model: Model, scope: Scope, started: datetime) -> Since:
    asked, column = scope.since, scope.since_column
    if isinstance(asked, datetime):
        return Since(asked, column, asked.isoformat())
    if isinstance(asked, timedelta):
        return Since(started - asked, column, f"{asked} before")
    found = await verifications.latest(control, model.name, limit=_SEARCHED, judged=True)
    last = next((each for each in found if _counts(each, model)), None)
    if last is None:
        raise UsageError(
            f"there is no verification of {model.name} to follow that has compared everything and found it equal",
            safe="Nothing was read.",
            next_step="Run `migrate verify` once without --since, or give --since a time or a duration.",
        )
    return Since(last.started_at, column, "last")


def _counts(done: Verification, model: Model) -> bool:
    """Whether a verification says that all was equal when it began, under the mapping as it is."""
    return done.outcome == "equal" and bool(done.scope.get("whole")) and done.mapping_fingerprint == model.fingerprint


def segments_of(percent: float, least: int) -> tuple[int, int]:
    """Into how many segments to divide a table, and how many of them are about so many percent of it."""
    total = min(_MOST_SEGMENTS, max(least, math.ceil(100 / percent)))
    return max(1, round(total * percent / 100)), total


def confidence(looked_at: int, of: int, differing: int) -> str:
    """What a sample drawn at random says of all rows, in one sentence."""
    of = max(of, looked_at)
    if looked_at == 0:
        return "No row was drawn: nothing can be said of the others."
    if looked_at == of:
        return f"All of about {of:,} rows were looked at."
    if differing:
        share = differing / looked_at
        return (
            f"{looked_at:,} of about {of:,} rows were looked at and {differing:,} keys differ: in all, about "
            f"{round(share * of):,} may."
        )
    return (
        f"{looked_at:,} of about {of:,} rows were looked at and none differs: with {_SURE:.0%} confidence, no more "
        f"than {most_differing(looked_at, of):,} do."
    )


def most_differing(looked_at: int, of: int) -> int:
    """The most rows that may differ, where so many were drawn without replacement and none did: at 95 %.

    The largest D for which drawing none of them has a chance of 5 % or more: C(of - D, n) / C(of, n).
    """
    low, high = 0, of - looked_at
    while low < high:
        middle = (low + high + 1) // 2
        if _chance(looked_at, of, middle) >= math.log(1 - _SURE):
            low = middle
        else:
            high = middle - 1
    return low


def _chance(looked_at: int, of: int, differing: int) -> float:
    """The logarithm of the chance that none of the differing is among those looked at."""
    rest = of - differing
    return (
        math.lgamma(rest + 1)
        - math.lgamma(rest - looked_at + 1)
        - math.lgamma(of + 1)
        + math.lgamma(of - looked_at + 1)
    )
