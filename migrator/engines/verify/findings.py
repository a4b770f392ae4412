"""What a verification finds: differences, each named, and the report they stand in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LISTED: Final = 10_000
"""Differences that are named; where there are more, something is wrong as a whole."""
NOT_ASKED_FOR: Final = "it was not asked for"
"""Why an access pattern was not asked, where nobody wanted it to be."""


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


class Cause(Enum):
    """Why a key differs, where that can be known."""

    POISON = "poison"
    """Its change is set aside, with a reason."""
    NO_MARK = "no mark"
    """The row was changed while capture was off, so that no mark tells of it."""
    NOT_COPIED = "not copied"
    """The copy has not reached the row."""
    FOREIGN_WRITER = "foreign writer"
    """Something other than the toolkit wrote the item."""
    FOREIGN_ITEM = "foreign item"
    """No row of any entity can own the item."""
    STALE = "stale version"
    """The item is of an earlier state of its row."""
    OTHER_KEY = "duplicate under another key"
    """The row's item stands under another key."""


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
    cause: Cause | None = None
    values: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict, repr=False)
    """Of attributes that differ: what is expected and what was found, as text. It is shown only where that is asked
    for, and those that are declared encrypted never are."""


@dataclass
class Parity:
    """How one access pattern answered, in DynamoDB and by its SQL."""

    pattern: str
    question: str
    asked: int = 0
    """Sets of parameters that were asked."""
    equal: int = 0
    differing: list[str] = field(default_factory=list)
    """Sets of parameters whose answers differ, as text: key columns only."""
    unsettled: int = 0
    """Those whose rows or items moved for as long as they were looked at."""
    reason: str | None = None
    """Why it was not asked, where it was not."""

    @property
    def differs(self) -> int:
        """How many sets of parameters have answers that differ, whether or not they are named."""
        return self.asked - self.equal - self.unsettled


@dataclass
class Cost:
    """Read units, foreseen and consumed, and what they cost on demand, in US dollars."""

    foreseen_units: float = 0.0
    units: float = 0.0
    dollars: float = 0.0


@dataclass
class Coverage:
    """What was looked at, and what was not."""

    sample_percent: float | None = None
    since: str | None = None
    key_range: str | None = None
    confidence: str | None = None
    """What a sample says of the whole, in one sentence."""
    not_verified: list[str] = field(default_factory=list)
    """What this verification says nothing about, a sentence each."""


@dataclass
class Report:
    """What was compared and what was found."""

    rows: dict[str, int] = field(default_factory=dict)
    """Rows read, by source table."""
    items: dict[str, int] = field(default_factory=dict)
    """Items that the rows ask for, by source table."""
    past: dict[str, int] = field(default_factory=dict)
    """Rows past their TTL, by source table: their items may be there or not."""
    items_scanned: int = 0
    foreign: int = 0
    """Items that are declared not to be of the model: nothing is said of them."""
    read_units: float = 0.0
    differences: list[Difference] = field(default_factory=list)
    parities: list[Parity] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)
    scope: Coverage = field(default_factory=Coverage)
    followed: bool = False
    """Whether PostgreSQL's changes are carried over in the phase: what differs can be repaired then."""
    carried_back: frozenset[str] = frozenset()
    """The names of entities that applications write in the target, and whose rows follow."""
    suspects: int = 0
    """Keys that did not match in the passes, most of which may only have changed meanwhile."""
    moving: list[Difference] = field(default_factory=list)
    """Keys that differed whenever they were looked at, while a change of them was on its way: they are not verified."""
    unjudged: int = 0
    """Suspects beyond the bound on single judgements, and differences beyond those that are named."""
    spilled: int = 0
    """Bytes on disk at the peak, all removed again."""
    seconds: float = 0.0
    record: int | None = None
    """The number under which the verification is on record in the source."""

    @property
    def items_expected(self) -> int:
        """Items that all rows ask for."""
        return sum(self.items.values())

    @property
    def expired(self) -> int:
        """Rows past their TTL, of all tables."""
        return sum(self.past.values())

    @property
    def clean(self) -> bool:
        """Whether target and source hold the same."""
        alike = all(not parity.differs and not parity.unsettled for parity in self.parities)
        return alike and not self.differences and not self.moving and not self.unjudged

    def found(self, difference: Difference) -> None:
        """Takes up a difference."""
        if len(self.differences) < MAX_LISTED:
            self.differences.append(difference)
        else:
            self.unjudged += 1

    def add(self, other: Report) -> None:
        """Takes up what another process has read."""
        for mine, theirs in ((self.rows, other.rows), (self.items, other.items), (self.past, other.past)):
            for source, number in theirs.items():
                mine[source] = mine.get(source, 0) + number
        self.items_scanned += other.items_scanned
        self.read_units += other.read_units
        self.unjudged += other.unjudged
        for difference in other.differences:
            self.found(difference)

    def count(self, verdict: Verdict) -> int:
        """How many differences have this verdict."""
        return sum(difference.verdict is verdict for difference in self.differences)
