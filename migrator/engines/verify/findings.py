"""What a verification finds: differences, each named, and the report they stand in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LISTED: Final = 10_000
"""Differences that are named; where there are more, something is wrong as a whole."""


class Verdict(Enum):
    """What is wrong with a key."""

    MISSING = "missing"
    """An item that should exist does not."""
    EXTRA = "extra"
    """An item exists that no row asks for."""
    DIFFERENT = "different"
    """The item is not what its row becomes."""
    UNVERIFIABLE = "unverifiable"
    """The row has no exact items, or its items do not give the row back."""


@dataclass(frozen=True)
class Difference:
    """One difference. `attributes` are the top-level ones, or members of the envelope (`Data.status`), that differ."""

    verdict: Verdict
    table: str
    key: Mapping[str, Any]
    entity: str | None = None
    row_key: tuple[str, ...] | None = None
    attributes: tuple[str, ...] = ()
    index_keys: tuple[str, ...] = ()
    """Those of `attributes` that are keys of an index."""
    ttl: bool = False
    """Whether the expiry is among them."""
    reason: str | None = None


@dataclass
class Report:
    """What was compared and what was found."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows read, by source table."""
    items_expected: int = 0
    items_scanned: int = 0
    expired: int = 0
    """Rows past their TTL: their items may be there or not."""
    read_units: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    followed: bool = False
    """Whether PostgreSQL's changes are carried over in the phase: what differs can be repaired then."""
    suspects: int = 0
    """Keys that did not match in the passes, most of which may only have changed meanwhile."""
    unjudged: int = 0
    """Suspects beyond the bound on single judgements, and differences beyond those that are named."""
    spilled: int = 0
    """Bytes on disk at the peak, all removed again."""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether target and source hold the same."""
        return not self.differences and not self.unjudged

    def found(self, difference: Difference) -> None:
        """Takes up a difference."""
        if len(self.differences) < MAX_LISTED:
            self.differences.append(difference)
        else:
            self.unjudged += 1

    def add(self, other: Report) -> None:
        """Takes up what another process has read."""
        for source, rows in other.rows.items():
            self.rows[source] = self.rows.get(source, 0) + rows
        self.items_expected += other.items_expected
        self.items_scanned += other.items_scanned
        self.expired += other.expired
        self.read_units += other.read_units
        self.unjudged += other.unjudged
        for difference in other.differences:
            self.found(difference)

    def count(self, verdict: Verdict) -> int:
        """How many differences have this verdict."""
        return sum(difference.verdict is verdict for difference in self.differences)
