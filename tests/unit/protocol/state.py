"""The world as the model sees it: both stores, the requests between them, and what each process remembers.

All of it is tuples, so that a world is a key of the visited set. Item keys, rows and values are small numbers. What is
wanted under a key is dated by how often the application has changed it: the `seen` of an item, of a request or of a
write is the number of changes of its key that were visible in the snapshot it carries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tests.unit.protocol.rules import TARGET_IS_MASTER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.unit.protocol.rules import Model

# What an item's version may be, besides the numbers from 1 that reconcile and live copy give.
TURBO = 0
ABSENT = -1
# What a condition may demand, besides a version.
ANY = -2
NEVER = -3  # a version that no item has any more, nor ever will
UNREAD = -4

NOTHING = ""


class Row(NamedTuple):
    """A source row: the item key that it has, and a value."""

    key: int
    value: int


class Mark(NamedTuple):
    """Notes that a row has changed, and the item keys that it had before."""

    number: int
    row: int
    old: tuple[int, ...]


class Source(NamedTuple):
    """What a snapshot of PostgreSQL shows. `changed` counts the changes of each item key."""

    rows: tuple[Row | None, ...]
    marks: tuple[Mark, ...]
    changed: tuple[int, ...]

    def item(self, key: int) -> str:
        """The item that a key should hold: the row that owns it, and its value."""
        for index, row in enumerate(self.rows):
            if row is not None and row.key == key:
                return f"{row_name(index)}={row.value}"
        return NOTHING

    def keys_of(self, mark: Mark) -> tuple[int, ...]:
        """The item keys of a mark: of its row as it is now, then of its old row."""
        row = self.rows[mark.row]
        if row is None or row.key in mark.old:
            return mark.old
        return (row.key, *mark.old)


class Cell(NamedTuple):
    """What DynamoDB holds under a key: `item`, `tombstone`, `absent`, or `expired`, which is absent by TTL."""

    kind: str
    item: str
    version: int
    seen: int
    rest: int
    """How many ticks of the clock a tombstone has to rest before it may be purged."""


class Request(NamedTuple):
    """A write on its way: `put`, `tombstone`, `delete` (of an item) or `purge` (of a tombstone)."""

    key: int
    kind: str
    item: str
    condition: int
    version: int
    seen: int
    left: int
    """How many ticks of the clock it has left to arrive in."""
    by_application: bool = False


class Write(NamedTuple):
    """A write that a process is about to send: what the snapshot wants under a key; `condition` is the version read."""

    key: int
    item: str
    seen: int
    condition: int


class Reconciler(NamedTuple):
    """A relay, or an inline mirror, or verify with repair, and what it remembers.

    `step` is `idle`, `claimed` (reads the target, then takes its snapshot), `ready` (to send), `sent` (waits for an
    answer) or `written` (deletes marks). `source read` is the step of those that take the snapshot first.
    """

    step: str = "idle"
    claim: int = 0
    keys: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    items: tuple[str, ...] = ()
    """What the target held, where the outcome depends on it."""
    marks: tuple[int, ...] = ()
    writes: tuple[Write, ...] = ()
    request: int = NEVER
    """The version that the request waited for will give."""
    late: bool = False
    """Whether the deadline of its snapshot has passed."""


IDLE = Reconciler()


class Copier(NamedTuple):
    """The copy: turbo in phase `prepare`, live in `dual_write`. A page is a row; `page` is its checkpoint.

    `step` is `idle`, `read` (has a page, not sent yet) or `sent`.
    """

    step: str = "idle"
    page: int = 0
    write: Write = Write(0, NOTHING, 0, UNREAD)
    request: int = NEVER


class Transaction(NamedTuple):
    """An open transaction of the application: what it will commit, and the numbers that its marks have taken."""

    story: str
    after: tuple[tuple[int, Row | None], ...]
    first_mark: int


class Applier(NamedTuple):
    """What carries changes back: `idle`, or `read`, which has an item in hand and applies it next."""

    step: str = "idle"
    key: int = 0
    cell: Cell = Cell("absent", NOTHING, ABSENT, 0, 0)


class Instance(NamedTuple):
    """An application process: the phase it goes by, and for how many ticks of the clock it may do so."""

    phase: str
    left: int


class Switch(NamedTuple):
    """What there is besides when writes move to DynamoDB and back."""

    left: int
    """How often they may move yet."""
    instances: tuple[Instance, ...]
    appliers: tuple[Applier, ...]
    shards: tuple[tuple[Cell, ...], ...]
    """The stream's records of each key, as images, oldest first: the applier may take shards in any order."""
    waiting: int = 0
    """How many ticks of the clock until nothing goes by the phase before, and nothing arrives that went by it."""
    ttl: bool = False
    """Whether DynamoDB deletes expired items."""


class World(NamedTuple):
    """Everything."""

    source: Source
    replica: Source
    """What a replica has replayed. It stays as it was at first where the rules let nobody read it."""
    target: tuple[Cell, ...]
    requests: tuple[Request, ...]
    reconcilers: tuple[Reconciler, ...]
    copier: Copier
    phase: str
    settling: int
    """How many ticks of the clock until nothing that turbo copy sent can arrive."""
    leaving: int
    """How many ticks of the clock, after the phase went back, until nothing that reconcile sent can arrive."""
    writes_left: int
    rollbacks_left: int
    next_mark: int
    next_version: int
    cursor: int
    transactions: tuple[Transaction, ...]
    switch: Switch

    @property
    def target_is_master(self) -> bool:
        """Whether what counts is what DynamoDB holds."""
        return self.phase in TARGET_IS_MASTER

    def pending(self) -> Iterable[Mark]:
        """Yield the marks that are there to be taken."""
        return (mark for mark in self.source.marks if mark.number > self.cursor)

    def pending_at(self, key: int) -> bool:
        """Whether a pending mark names a key."""
        return any(key in self.source.keys_of(mark) for mark in self.pending())

    def copy_done(self) -> bool:
        """Whether the copy has passed the last page."""
        return self.copier.page == len(self.source.rows)

    def with_reconciler(self, index: int, reconciler: Reconciler) -> World:
        """The same world, with one reconciler a step further."""
        reconcilers = (*self.reconcilers[:index], reconciler, *self.reconcilers[index + 1 :])
        return self._replace(reconcilers=reconcilers)

    def with_cell(self, key: int, cell: Cell) -> World:
        """The same world with a key changed, and the stream's record of it where somebody will read that."""
        after = self._replace(target=(*self.target[:key], cell, *self.target[key + 1 :]))
        if not self.target_is_master:
            return after
        shards = list(self.switch.shards)
        # Nobody asks a record for its version.
        shards[key] = (*shards[key], cell._replace(version=0, rest=0))
        return after._replace(switch=self.switch._replace(shards=tuple(shards)))


class Step(NamedTuple):
    """One transition: what happens, the world after it, whose doing it is, and what it breaks.

    `by` is `system` (what the protocol does by itself), `application`, or `fault`.
    """

    story: str
    world: World
    by: str = "system"
    broken: str = ""


def beginning(model: Model) -> World:
    """Return the world at the start: capture is on, no mark is there, nothing is on its way."""
    configuration = model.configuration
    rows = tuple(None if key is None else Row(key, 0) for key in configuration.rows)
    source = Source(rows, (), (0,) * configuration.keys)
    absent = Cell("absent", NOTHING, ABSENT, 0, 0)
    target = tuple(
        Cell("item", source.item(key), TURBO, 0, 0) if configuration.copied and source.item(key) else absent
        for key in range(configuration.keys)
    )
    return World(
        source=source,
        replica=source,
        target=target,
        requests=(),
        reconcilers=(IDLE,) * configuration.reconcilers,
        copier=Copier(page=len(rows) if configuration.copied else 0),
        phase=configuration.phase,
        settling=0,
        leaving=0,
        writes_left=configuration.writes,
        rollbacks_left=configuration.rollbacks,
        next_mark=1,
        next_version=1,
        cursor=0,
        transactions=(),
        switch=Switch(
            left=configuration.switches,
            instances=(Instance(configuration.phase, configuration.lease),) * configuration.instances,
            appliers=(Applier(),) * configuration.appliers,
            shards=((),) * configuration.keys,
            ttl=configuration.ttl and not model.switch.ttl_at_opening,
        ),
    )


def key_name(key: int) -> str:
    """Return what stories call an item key: A, B, ..."""
    return "ABCDEF"[key]


def row_name(row: int) -> str:
    """Return what stories call a source row: r1, r2, ..."""
    return f"r{row + 1}"
