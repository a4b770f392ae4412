"""What an application has done and seen, operation by operation, and whether registers could have answered so.

Each key is a register, which holds one value at a time. A write takes place at one moment between its begin and its
end; one without an answer at any moment after its begin, or never; one that was refused, never. A read tells what the
register held at some moment between its begin, less the seconds by which it may be behind, and its end. A history is
accepted where such moments can be found for all operations of each key.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Kind: TypeAlias = Literal["write", "delete", "read"]
Outcome: TypeAlias = Literal["acknowledged", "unknown", "refused"]
Wrong: TypeAlias = Literal[
    "nobody wrote it", "it was refused", "own write not read", "came back", "stale", "lost", "replaced twice"
]
"""What is wrong with an operation.

`nobody wrote it`, `it was refused`: of the value that was read; `own write not read`: the session had written since;
`came back`: the row was deleted since; `stale`: it was overwritten, longer ago than is allowed; `lost`: the same, when
all is over; `replaced twice`: a conditional write was acknowledged that did not find what it replaces.
"""
END: Final = "end"
"""The session of those who read when all is over: what they do not find is lost."""
ANY: Final = "*"
"""What an unconditional write replaces."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation at one key.

    Attributes:
        session: who did it; one session does one thing after another.
        key: the register.
        kind: `write`, `delete` or `read`.
        begin: when it began, in seconds of a clock that never goes back.
        end: when it ended; without end where no answer came.
        outcome: `unknown` where it may have taken place; reads are acknowledged or left out.
        value: what was written, which no other write gives, or read; None: nothing is there.
        replaces: what a conditional write was to find; `ANY`: it was unconditional.
        bound: seconds by which what a read tells may be behind.
        own: whether a read is promised to know what its session has written.
    """

    session: str
    key: str
    kind: Kind
    begin: float
    end: float = inf
    outcome: Outcome = "acknowledged"
    value: str | None = None
    replaces: str | None = ANY
    bound: float = 0.0
    own: bool = False

    @property
    def is_read(self) -> bool:
        return self.kind == "read"


@dataclass(frozen=True, slots=True)
class Violation:
    """The first operation of a key for which no moment can be found, and what was done at the key shortly before."""

    wrong: Wrong
    operation: Operation
    before: tuple[Operation, ...] = ()

    def __str__(self) -> str:
        told = [f"{self.operation.key}: {self.wrong}", f"  > {_told(self.operation)}"]
        return "\n".join(told + [f"    {_told(each)}" for each in self.before])


def _told(operation: Operation) -> str:
    condition = "" if operation.is_read or operation.replaces == ANY else f" for {operation.replaces}"
    return (
        f"{operation.begin:.3f}-{operation.end:.3f} {operation.session} {operation.kind} {operation.value}{condition} "
        f"{operation.outcome}"
    )


def violations(history: Iterable[Operation]) -> list[Violation]:
    """Return what is wrong with a history, one violation for each key at most; nothing: it is accepted.

    Keys hold nothing before their first write.
    """
    by_key: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    found = (_violation(sorted(each, key=lambda one: one.begin)) for _, each in sorted(by_key.items()))
    return [each for each in found if each is not None]


def behind(history: Iterable[Operation]) -> float:
    """Return by how many seconds the oldest answer to a read was behind, at least: since a conditional write ended."""
    reads: defaultdict[tuple[str, str | None], list[float]] = defaultdict(list)
    ended: dict[tuple[str, str | None], float] = {}
    for each in history:
        if each.is_read:
            reads[each.key, each.value].append(each.begin)
        elif each.outcome == "acknowledged" and each.replaces not in {ANY, None}:
            ended[each.key, each.replaces] = each.end
    return max([0.0, *(begin - end for name, end in ended.items() for begin in reads[name])])


_NEAR: Final = 8
"""Operations that a violation shows."""


def _violation(operations: Sequence[Operation]) -> Violation | None:
    """What is wrong at one key."""
    written = {each.value: each for each in operations if each.kind == "write"}
    for each in operations:
        if not each.is_read or each.value is None:
            continue
        if each.value not in written:
            return Violation("nobody wrote it", each, _shortly_before(operations, each))
        if written[each.value].outcome == "refused":
            return Violation("it was refused", each, _shortly_before(operations, each))
    failed = _Search(operations).run()
    if failed is None:
        return None
    return Violation(_wrong(operations, failed), failed, _shortly_before(operations, failed))


def _wrong(operations: Sequence[Operation], failed: Operation) -> Wrong:
    """A name for what a search has found no moment for."""
    if not failed.is_read:
        return "replaced twice"
    without_promise = replace(failed, own=False)
    others = [without_promise if each is failed else each for each in operations]
    if failed.own and _Search(others).run() is not without_promise:
        return "own write not read"
    if failed.session == END:
        return "lost"
    written = next((each for each in operations if each.kind == "write" and each.value == failed.value), None)
    deleted = any(
        each.kind == "delete" and each.outcome == "acknowledged" and written is not None and written.end < each.begin
        for each in operations
        if each.end < failed.begin
    )
    return "came back" if deleted else "stale"


def _shortly_before(operations: Sequence[Operation], failed: Operation) -> tuple[Operation, ...]:
    before = [each for each in operations if each.begin < failed.end and each is not failed]
    return tuple(sorted(before, key=lambda each: each.begin)[-_NEAR:])


@dataclass(frozen=True, slots=True)
class _State:
    """One way in which all may have come so far: what the register holds, and what has begun and has no moment yet.

    `writes` must have theirs before they end; `maybes`, deletes without an answer, need not have any.
    """

    value: str | None = None
    writes: frozenset[int] = frozenset()
    maybes: frozenset[int] = frozenset()
    reads: frozenset[int] = frozenset()

    def allows(self, other: _State) -> bool:
        """Whether whatever can come of another state can come of this one."""
        same = self.value == other.value and self.writes == other.writes
        return same and self.maybes >= other.maybes and self.reads <= other.reads


def _fullest(states: set[_State]) -> set[_State]:
    """The states that matter: none that allows less than another."""
    kept: list[_State] = []
    for state in sorted(states, key=lambda each: (len(each.reads), -len(each.maybes))):
        if not any(other.allows(state) for other in kept):
            kept.append(state)
    return set(kept)


def _answered(operations: Sequence[Operation]) -> list[Operation]:
    """Without writes that were refused, or that got no answer and nobody has seen; those seen had ended by then."""
    seen: dict[str | None, float] = {}
    unknown = {each.value: each for each in operations if each.outcome == "unknown" and each.value is not None}
    left = [(each, each.end) for each in operations if each.outcome == "acknowledged"]
    while left:
        each, end = left.pop()
        sees = each.value if each.is_read else each.replaces
        if end < seen.get(sees, inf):
            seen[sees] = end
            if sees in unknown:
                left.append((unknown[sees], end))
    kept = []
    for each in operations:
        if each.value in unknown and not each.is_read and each.value in seen:
            kept.append(replace(each, end=max(each.begin, seen[each.value]), outcome="acknowledged"))
        elif each.outcome == "acknowledged" or (each.kind == "delete" and each.outcome == "unknown" and None in seen):
            kept.append(each)
    return kept


class _Search:
    """Goes through the begins and ends of a key's operations, and keeps every state that is possible.

    A write is given its moment as late as can be: when an operation ends that has none yet. As values are written once,
    there are hardly more states than writes that overlap.

    Args:
        operations: those of the key, in the order of their begins.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = _answered(operations)
        self._after = dict(self._own_writes())

    def run(self) -> Operation | None:
        """Return the operation at whose end no state is left."""
        states = {_State()}
        for number, begins in self._events():
            if begins:
                states = {self._begun(state, number) for state in states}
                continue
            states = _fullest(self._ended(states, number))
            if not states:
                return self._operations[number]
        return None

    def _own_writes(self) -> Iterator[tuple[int, int]]:
        """By read, the write of its own session that it must not precede."""
        last: dict[str, int] = {}
        for number, each in enumerate(self._operations):
            if each.own and each.session in last:
                yield number, last[each.session]
            if not each.is_read and each.outcome == "acknowledged":
                last[each.session] = number

    def _events(self) -> list[tuple[int, bool]]:
        """Begins and ends in their order; of those at one moment, writes begin, then reads begin, then all end."""
        events = []
        for number, each in enumerate(self._operations):
            events.append((self._begin(number), 1 if each.is_read else 0, number))
            if each.outcome == "acknowledged":
                events.append((each.end, 2, number))
        return [(number, rank < 2) for _, rank, number in sorted(events)]

    def _begin(self, number: int) -> float:
        """From when on an operation may have had its moment."""
        each = self._operations[number]
        own = self._after.get(number)
        return max(each.begin - each.bound, -inf if own is None else self._operations[own].begin)

    def _begun(self, state: _State, number: int) -> _State:
        each = self._operations[number]
        if each.outcome == "unknown":
            return replace(state, maybes=state.maybes | {number})
        if not each.is_read:
            return replace(state, writes=state.writes | {number})
        return state if self._answers(state, number) else replace(state, reads=state.reads | {number})

    def _answers(self, state: _State, read: int) -> bool:
        return self._operations[read].value == state.value and self._after.get(read) not in state.writes

    def _ended(self, states: set[_State], number: int) -> set[_State]:
        """The states in which an operation has had its moment, now if not before."""
        settled: set[_State] = set()
        seen, left = set(states), list(states)
        while left:
            state = left.pop()
            if number not in state.writes and number not in state.reads:
                settled.add(state)
                continue
            reached = {self._written(state, write) for write in self._next(state)} - seen
            seen |= reached
            left += reached
        return settled

    def _next(self, state: _State) -> Iterable[int]:
        """The writes that may have their moment now; of deletes that are the same, one."""
        conditions = {number: self._operations[number].replaces for number in (*state.writes, *state.maybes)}
        maybes = {conditions[number]: number for number in state.maybes if state.value is not None}
        return [number for number in (*state.writes, *maybes.values()) if conditions[number] in {ANY, state.value}]

    def _written(self, state: _State, write: int) -> _State:
        after = _State(self._operations[write].value, state.writes - {write}, state.maybes - {write}, state.reads)
        return replace(after, reads=state.reads - {read for read in state.reads if self._answers(after, read)})
