"""Differences as a page lists them: alike ones together, and of many no more than a reader looks at."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.cli.report.document import DifferenceFound

LISTED: Final = 500
"""Differences that a page lists of one model; the rest is counted."""
_ATTRIBUTES: Final = 12
_CHARACTERS: Final = 300
_ORDER: Final = ("missing", "different", "extra", "unverifiable")
MEANING: Final = {
    "missing": "Items that should exist and do not.",
    "different": "Items that are not what their rows become.",
    "extra": "Items that no row asks for.",
    "unverifiable": "Rows that have no exact items, or whose items do not give them back.",
}


@dataclass(frozen=True)
class Attribute:
    """An attribute that differs, and its values where they are shown."""

    name: str
    role: str | None
    expected: str | None = None
    found: str | None = None


@dataclass(frozen=True)
class Line:
    """One difference; `expiry` says whether that is among its attributes."""

    key: list[tuple[str, str]]
    attributes: list[Attribute]
    more: int
    expiry: bool
    reason: str | None


@dataclass(frozen=True)
class Group:
    """Differences of one verdict, entity and cause; of `total`, the first ones are listed."""

    verdict: str
    entity: str | None
    cause: str | None
    total: int
    lines: list[Line]

    @property
    def meaning(self) -> str:
        """What the verdict means."""
        return MEANING[self.verdict]

    @property
    def has_attributes(self) -> bool:
        """Whether any line names attributes."""
        return any(line.attributes for line in self.lines)

    @property
    def has_reasons(self) -> bool:
        """Whether any line gives a reason."""
        return any(line.reason for line in self.lines)


def groups(differences: Sequence[DifferenceFound]) -> list[Group]:
    """The differences in groups, each with a share of the lines."""
    alike: dict[tuple[int, str, str], list[DifferenceFound]] = defaultdict(list)
    for each in differences:
        alike[_ORDER.index(each.verdict), each.entity or "", each.cause or ""].append(each)
    share = max(LISTED // max(len(alike), 1), 1)
    return [
        Group(first.verdict, first.entity, first.cause, len(members), [_line(each) for each in members[:share]])
        for members in (alike[key] for key in sorted(alike))
        for first in members[:1]
    ]


def _line(difference: DifferenceFound) -> Line:
    named = difference.attributes[:_ATTRIBUTES]
    return Line(
        [(name, _cut(value)) for name, value in difference.key.items()],
        [_attribute(difference, name) for name in named],
        len(difference.attributes) - len(named),
        difference.ttl,
        None if difference.reason is None else _cut(difference.reason),
    )


def _attribute(difference: DifferenceFound, name: str) -> Attribute:
    role = "index key" if name in difference.index_keys else None
    values = None if difference.values is None else difference.values.get(name)
    if values is None:
        return Attribute(_cut(name), role)
    return Attribute(_cut(name), role, values.expected or "nothing", values.found or "nothing")


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"
