"""Where reads went and what the sample of them has shown, counted by access pattern."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Literal, TypeAlias

Cause: TypeAlias = Literal[
    "phase", "percent", "lease", "mapping", "own_write", "resting", "busy", "failed", "slow", "closed"
]
"""Why PostgreSQL was asked.

`phase`: the entity's reads have not moved; `percent`: the key is not yet among those that have; `lease`: it is not
known which phase it is; `mapping`: the reads have moved under another mapping; `own_write`: the context has written
what is not known to be in DynamoDB; `resting`: DynamoDB has failed several times in a row; `busy`: as many reads as may
be are under way; `failed`, `slow`: DynamoDB has, or was, for this one; `closed`: the router is not open.
"""
Verdict: TypeAlias = Literal["equal", "different", "failed", "skipped"]
"""What came of a sampled read.

`failed`: a store did not answer; `skipped`: it was left out, since too many waited, or the answers were others at each
look.
"""


@dataclass
class ReadCounts:
    """The reads of one access pattern.

    Attributes:
        dynamodb: reads that DynamoDB has answered.
        postgres: reads that PostgreSQL was asked, by cause.
        sampled: sampled reads, by what came of them.
    """

    dynamodb: int = 0
    postgres: Counter[Cause] = field(default_factory=Counter)
    sampled: Counter[Verdict] = field(default_factory=Counter)


class ReadTally:
    """Counts that several threads add to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[str, ReadCounts] = defaultdict(ReadCounts)

    def answered(self, pattern: str, cause: Cause | None) -> None:
        """A read went to PostgreSQL for this cause; None: DynamoDB has answered it."""
        with self._lock:
            if cause is None:
                self._counts[pattern].dynamodb += 1
            else:
                self._counts[pattern].postgres[cause] += 1

    def sampled(self, pattern: str, verdict: Verdict) -> None:
        """A sampled read was compared."""
        with self._lock:
            self._counts[pattern].sampled[verdict] += 1

    def read(self) -> dict[str, ReadCounts]:
        """The counts as they are now, by the access pattern's id."""
        with self._lock:
            return {
                name: replace(each, postgres=each.postgres.copy(), sampled=each.sampled.copy())
                for name, each in self._counts.items()
            }
