"""What the driver of the story knows: the rows that the application has acknowledged, and what it has not answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tests.support.story_rows import TABLES, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.support.story_rows import Key, Values

Name: TypeAlias = "tuple[str, Key]"
"""A row: its table and its key."""


@dataclass(frozen=True)
class Change:
    """A row that is inserted (`key` is None), changed, moved to another key, or deleted (`values` is None)."""

    table: str
    key: Key | None
    values: Values | None

    def effect(self) -> dict[Name, Values | None]:
        """The rows that it touches, as they are afterwards; None: not there."""
        rows: dict[Name, Values | None] = {} if self.key is None else {(self.table, self.key): None}
        if self.values is not None:
            rows[self.table, key_of(self.table, self.values)] = self.values
        return rows


@dataclass
class Ledger:
    """Every row that was ever there, as it is after the last acknowledged commit; None where it was deleted."""

    rows: dict[Name, Values | None] = field(default_factory=dict)
    commits: int = 0
    changed: int = 0
    rolled_back: int = 0
    unanswered: int = 0
    taken_effect: int = 0

    def begin(self, rows: Mapping[str, Iterable[Values]]) -> None:
        """The rows that were there before the story, by table."""
        for table, each in rows.items():
            self.rows.update({(table, key_of(table, values)): values for values in each})

    def acknowledge(self, changes: Sequence[Change], *, kept: bool) -> None:
        """The application has answered that a transaction stands (`kept`), or was rolled back as it was asked to."""
        if not kept:
            self.rolled_back += 1
            return
        self.commits += 1
        self.changed += len(changes)
        for change in changes:
            self.rows.update(change.effect())

    def resolve(self, changes: Sequence[Change], seen: Mapping[Name, Values | None]) -> None:
        """No answer came; `seen` is what was found afterwards: a transaction stands as a whole, or not at all."""
        self.unanswered += 1
        after = {name: values for change in changes for name, values in change.effect().items()}
        before = {name: self.rows.get(name) for name in after}
        assert seen in (before, after), f"a transaction took effect in part: {list(after)}"
        if after != before and seen == after:
            self.taken_effect += 1
            self.changed += len(changes)
            self.rows.update(after)

    def table(self, name: str) -> dict[Key, Values]:
        """The rows that should be there."""
        return {key: values for (table, key), values in self.rows.items() if table == name and values is not None}

    def deleted(self) -> set[Name]:
        """The rows that should not be there any more."""
        return {name for name, values in self.rows.items() if values is None}

    def differing(self, found: Mapping[str, Iterable[Values]]) -> list[str]:
        """How the rows of the source, by table, are not what was acknowledged."""
        wrong = []
        for table in TABLES:
            expected, actual = self.table(table), {key_of(table, values): values for values in found[table]}
            wrong += [f"{table} {key}: lost" for key in expected.keys() - actual.keys()]
            wrong += [f"{table} {key}: alive" for key in actual.keys() - expected.keys()]
            wrong += [
                f"{table} {key}: not as acknowledged"
                for key in expected.keys() & actual.keys()
                if expected[key] != actual[key]
            ]
        return sorted(wrong)
