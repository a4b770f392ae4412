"""What a verification is asked to look at, and how it is to go about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from migrator.engines.verify.cost import READ_DOLLARS
from migrator.engines.verify.patterns.asking import QUESTIONS

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from migrator.postgres.rows import Key


@dataclass(frozen=True)
class Scope:
    """How a verification reads.

    Attributes:
        max_rcu: read units per second; None for as many as the table gives.
        workers: how many processes read.
        patterns: with how many sets of values each access pattern is asked; None: with all that rows have.
        sample: percent of the rows to look at, with their items; None for all.
        since: look only at rows that were changed since: a time, a time before now, or the last verification that has
            found everything equal.
        since_column: the column that says when a row was changed.
        after, until: look only at rows of one table whose keys are in (`after`, `until`], None being no bound.
        read_dollars: what a million read units cost on demand.
        work_dir: where it is kept how far the reading is, so that it can be gone on with; None: nowhere, and a
            verification that is killed has to be begun anew.
        restart: whether one that was not finished is forgotten.
        anew_if_other: whether one that was not finished is forgotten, not refused, where it had another mapping or
            source schema: for who runs unattended.
    """

    max_rcu: float | None = None
    workers: int = 1
    patterns: int | None = QUESTIONS
    sample: float | None = None
    since: datetime | timedelta | Literal["last"] | None = None
    since_column: str = "updated_at"
    after: Key | None = None
    until: Key | None = None
    read_dollars: float = READ_DOLLARS
    work_dir: Path | None = None
    restart: bool = False
    anew_if_other: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether it asks for less than everything."""
        return any(each is not None for each in (self.sample, self.since, self.after, self.until))

    @property
    def facts(self) -> tuple[str, ...]:
        """What is looked at, as text that is the same for the same."""
        narrowed = (self.sample, self.since, self.since_column, self.after, self.until)
        return tuple(map(str, narrowed))
