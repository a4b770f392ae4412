"""The history checker: what it has to refuse, and what it has to accept."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from random import Random

import pytest

from tests.support.history import ANY, END, Operation, behind, violations

V0 = Operation("begin", "k", "write", 0, 1, value="v0", replaces=None)


def write(begin: float, value: str | None, end: float | None = None, **more: object) -> Operation:
    made = Operation(
        "a", "k", "delete" if value is None else "write", begin, begin + 1 if end is None else end, value=value
    )
    return replace(made, **more)  # type: ignore[arg-type] # of the fields' own types


def maybe(begin: float, value: str | None, **more: object) -> Operation:
    return write(begin, value, inf, outcome="unknown", **more)


def read(begin: float, value: str | None, end: float | None = None, **more: object) -> Operation:
    made = Operation("b", "k", "read", begin, begin + 1 if end is None else end, value=value)
    return replace(made, **more)  # type: ignore[arg-type] # of the fields' own types


REFUSED = {
    "an acknowledged write is not there at the end": ("lost", [V0, write(2, "v1"), read(9, "v0", session=END)]),
    "a row is not there at the end": ("lost", [V0, read(9, None, session=END)]),
    "a deleted row is there at the end": ("lost", [V0, write(2, None), read(9, "v0", session=END)]),
    "an older value is read": ("stale", [V0, write(2, "v1"), read(4, "v0")]),
    "an older value is read beyond the bound": ("stale", [V0, write(2, "v1"), read(10, "v0", bound=6)]),
    "a newer value is read, then an older one": (
        "stale",
        [V0, write(2, "v1", 20), read(4, "v1"), read(6, "v0")],
    ),
    "what was written without an answer is read, then an older value": (
        "stale",
        [V0, maybe(2, "v1"), read(4, "v1"), read(6, "v0")],
    ),
    "an own write is not read": (
        "own write not read",
        [V0, write(2, "v1"), read(4, "v0", session="a", own=True, bound=9)],
    ),
    "an own delete is not read": (
        "own write not read",
        [V0, write(2, None), read(4, "v0", session="a", own=True, bound=9)],
    ),
    "a value that nobody wrote": ("nobody wrote it", [V0, read(2, "v7")]),
    "a value that was refused": ("it was refused", [V0, write(2, "v1", outcome="refused"), read(4, "v1")]),
    "a deleted row comes back": ("came back", [V0, write(2, None), read(4, None), read(6, "v0")]),
    "a deleted row comes back under a newer one": (
        "came back",
        [V0, write(2, None), write(4, "v1"), read(6, "v1"), read(8, "v0")],
    ),
    "two stores acknowledge a write in place of the same value": (
        "replaced twice",
        [V0, write(2, "v1", replaces="v0"), write(4, "v2", replaces="v0")],
    ),
    "two stores take writes side by side": (
        "stale",
        [V0, write(2, "v1"), write(4, "v2"), read(6, "v2"), read(8, "v1"), read(10, "v2")],
    ),
    "two rows are inserted under one key": (
        "replaced twice",
        [V0, write(2, None, replaces="v0"), write(4, "v1", replaces=None), write(6, "v2", replaces=None)],
    ),
    "a row is absent for a moment": ("stale", [V0, read(2, None), read(4, "v0")]),
    "what was sent before is taken for what was deleted": (
        "stale",
        [V0, write(2, None), write(4, "v1"), read(6, None, bound=0.5)],
    ),
}  # fmt: skip

ACCEPTED = {
    "nothing": [],
    "concurrent writes, the first read last": [V0, write(2, "v1", 5), write(3, "v2", 6), read(7, "v1")],
    "concurrent writes, the second read last": [V0, write(2, "v1", 5), write(3, "v2", 6), read(7, "v2")],
    "concurrent writes, read one after the other": [
        V0, write(2, "v1", 9), write(3, "v2", 9), read(4, "v2"), read(6, "v1"), read(10, "v1"),
    ],
    "no answer, and it took place": [V0, maybe(2, "v1"), read(4, "v0"), read(6, "v1"), read(8, "v1", session=END)],
    "no answer, and it did not": [V0, maybe(2, "v1"), read(4, "v0"), read(6, "v0", session=END)],
    "no answer, and another has replaced it": [V0, maybe(2, "v1"), write(4, "v2", replaces="v1"), read(6, "v2")],
    "no answer, and it took place under another": [V0, maybe(2, "v1"), write(4, "v2"), read(9, "v1"), read(11, "v1")],
    "no answer to a delete, and it took place": [V0, maybe(2, None), read(4, "v0"), read(6, None)],
    "no answer to a delete, and it did not": [V0, maybe(2, None), read(4, "v0"), write(6, "v1", replaces="v0")],
    "a refused write": [V0, write(2, "v1", outcome="refused"), read(4, "v0")],
    "a read within its bound": [V0, write(2, "v1"), read(10, "v0", bound=8)],
    "reads that go back within their bound": [V0, write(2, "v1"), read(4, "v1", bound=5), read(6, "v0", bound=5)],
    "another's write after the own one": [
        V0, write(2, "v1"), write(4, "v2", session="c"), read(6, "v2", session="a", own=True, bound=9),
    ],
    "an own write that another's has passed": [
        V0, write(2, "v1", 9, replaces="v0"), write(3, "v2", 4, session="c"),
        read(10, "v1", session="a", own=True, bound=9),
    ],
    "absent, then back": [V0, write(2, None), read(4, None), write(6, "v1", replaces=None), read(8, "v1")],
    "a read while it is written": [V0, write(2, "v1", 9), read(3, "v1"), read(5, "v1"), read(10, "v1")],
    "a chain of conditions": [V0, *(write(2 * n, f"v{n}", replaces=f"v{n - 1}") for n in range(1, 50))],
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses(name: str) -> None:
    wrong, history = REFUSED[name]
    (found,) = violations(history)
    assert found.wrong == wrong
    assert str(found).startswith(f"k: {wrong}")


@pytest.mark.parametrize("name", ACCEPTED)
def test_it_accepts(name: str) -> None:
    assert violations(ACCEPTED[name]) == []


def _drawn(random: Random) -> list[Operation]:
    """What a register answers to sessions whose operations overlap, some of which get no answer."""
    history, value, now = [], None, 0.0
    for number in range(300):
        now += random.random()
        begin, end = now - random.random() * 3, now + random.random() * 3
        kind = random.choice(["write", "read", "read", "delete"])
        session = f"s{number}"
        if kind == "read":
            history.append(Operation(session, "k", "read", begin, end, value=value))
            continue
        answered, replaces = random.random() < 0.8, value if random.random() < 0.5 else ANY
        new = f"v{number}" if kind == "write" else None
        made = Operation(session, "k", "write" if new else "delete", begin, end, value=new, replaces=replaces)
        took_place = answered or random.random() < 0.5
        history.append(made if answered else replace(made, end=inf, outcome="unknown"))
        value = new if took_place else value
    return [*history, Operation(END, "k", "read", now + 4, now + 5, value=value)]


def _seen(history: list[Operation]) -> list[int]:
    """The acknowledged writes whose values were read."""
    read_values = {each.value for each in history if each.is_read}
    return [
        number
        for number, each in enumerate(history)
        if each.kind == "write" and each.outcome == "acknowledged" and each.value in read_values
    ]


@pytest.mark.parametrize("seed", range(10))
def test_it_knows_a_register_from_one_that_loses_a_write(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - repeatable, not secret
    history = _drawn(random)
    assert violations(history) == []
    dropped = random.choice(_seen(history))
    assert violations(history[:dropped] + history[dropped + 1 :])
    refused = [replace(each, outcome="refused") if n == dropped else each for n, each in enumerate(history)]
    assert [each.wrong for each in violations(refused)] == ["it was refused"]


def test_keys_are_told_apart() -> None:
    other = [replace(each, key="j") for each in (V0, write(2, "v1"), read(4, "v0"))]
    assert [each.operation.key for each in violations([V0, *other, read(2, "v0")])] == ["j"]


def test_it_says_how_far_behind_reads_were() -> None:
    history = [V0, write(2, "v1", replaces="v0"), read(2.5, "v0"), read(5, "v0", bound=9), read(8, "v1")]
    assert behind(history) == 2
    assert behind([V0]) == 0


def test_a_violation_shows_what_was_done() -> None:
    (found,) = violations([V0, write(2, "v1", replaces="v0"), read(9, "v0", session=END)])
    assert str(found).splitlines() == [
        "k: lost",
        "  > 9.000-10.000 end read v0 acknowledged",
        "    0.000-1.000 begin write v0 for None acknowledged",
        "    2.000-3.000 a write v1 for v0 acknowledged",
    ]
