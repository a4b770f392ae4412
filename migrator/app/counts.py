"""What a mirror has done, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Reason: TypeAlias = Literal[
    "unnamed",
    "too_many",
    "phase",
    "queue_full",
    "resting",
    "closed",
    "refused",
    "unreadable",
    "not_found",
    "contended",
    "failed",
]
"""Why a row was left to the relay.

`unnamed`: changed by a statement that names no rows, counted per statement; `too_many`: one of more rows than
`Limits.commit` in its transaction; `phase`: its entity's changes are not followed; `queue_full`, `resting` (the circuit
breaker is open), `closed`: as they say; `refused`: its table, or the capture on it, is not as the mapping needs it;
`unreadable`: its key cannot be read as one of the table; `not_found`: a relay had its mark, or many marks are newer;
`contended`: others wrote its items at the same time; `failed`: a store failed.
"""


@dataclass
class Counts:
    """What has become of the rows that committed transactions touched.

    Attributes:
        touched: rows that were committed while the mirror was on.
        mirrored: marks that were settled; a row that was changed several times has several.
        set_aside: marks that were set aside with a reason: the row has no items as it is.
        left: rows left to the relay, by reason.
        failures: batches that failed.
        late: commits that returned, at the deadline, before their rows were mirrored (mode `inline`).
    """

    touched: int = 0
    mirrored: int = 0
    set_aside: int = 0
    left: Counter[Reason] = field(default_factory=Counter)
    failures: int = 0
    late: int = 0


class Tally:
    """Counts that several threads add to."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts = Counts()

    def add(
        self,
        *,
        touched: int = 0,
        mirrored: int = 0,
        set_aside: int = 0,
        failures: int = 0,
        late: int = 0,
        left: Mapping[Reason, int] | None = None,
    ) -> None:
        """Adds."""
        with self._lock:
            counts = self._counts
            counts.touched += touched
            counts.mirrored += mirrored
            counts.set_aside += set_aside
            counts.failures += failures
            counts.late += late
            for reason, rows in (left or {}).items():
                counts.left[reason] += rows

    def read(self) -> Counts:
        """The counts as they are now."""
        with self._lock:
            return replace(self._counts, left=self._counts.left.copy())
