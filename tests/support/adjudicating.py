"""Verification again and again under a steady load, with differences made now and then: these are found, no others."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from tests.support.corrupting import add_rows, assert_found, corrupt, corruptions, restore
from tests.support.relaying import follow
from tests.support.steady import Load, under

if TYPE_CHECKING:
    from tests.support.migration import Migration

_PATTERNS = 3


@dataclass
class Seen:
    """What a course has seen. `suspects` are keys that did not match at first, almost all of which had only changed."""

    verifications: int = 0
    found: int = 0
    suspects: int = 0
    moving: int = 0
    questions: int = 0
    changed: int = 0
    seconds: float = 0.0

    def show(self) -> str:
        """The figures, for people."""
        return (
            f"{self.seconds:.0f} s of load, {self.changed / self.seconds:.0f} rows changed a second; "
            f"{self.verifications:,} verifications, {self.suspects:,} suspects, {self.questions:,} questions; "
            f"{self.found:,} corruptions, all found and named, and no other difference; "
            f"{self.moving:,} keys not settled"
        )


async def assert_only_what_differs_is_found(
    migration: Migration, seed: int, *, seconds: float, rate: float, every: int
) -> Seen:
    """Verify under load for so long, once at least; of the corruptions of a round, each `every`th is made.

    Raises:
        AssertionError: a difference was found that is none, or one was not.
    """
    random, seen = Random(seed), Seen()  # noqa: S311 - repeatable, not secret
    await add_rows(migration)
    await follow(migration)
    load = Load(migration, random, rate)
    await load.choose()
    quiet = await load.quiet()
    async with under(load, migration):
        begun = time.monotonic()
        while not seen.verifications or time.monotonic() - begun < seconds:
            report = await migration.verify(patterns=_PATTERNS)
            assert not report.differences, report.differences
            assert not [each for each in report.parities if each.differs], report.parities
            seen.questions += sum(each.asked for each in report.parities)
            seen.suspects += report.suspects
            seen.moving += len(report.moving)
            made = list(corruptions(random, quiet))[random.randrange(every) :: every]
            corrupt(migration, made)
            report = await migration.verify()
            assert_found(report, made)
            restore(migration, [target.item for each in quiet.values() for target in each], made)
            seen.suspects += report.suspects - len(report.differences)
            seen.moving += len(report.moving)
            seen.verifications += 2
            seen.found += len(made)
    seen.changed, seen.seconds = load.changed, load.seconds
    return seen
