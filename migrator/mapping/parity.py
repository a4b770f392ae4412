"""Two answers to one question held against each other: DynamoDB's items and PostgreSQL's rows, in their order.

An item is led back to its row's values by the inverse, which shares nothing with the encoder and nothing with the
testimonies. Order is DynamoDB's own against that of `ORDER BY`; items with the same key of an index are in no order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

import orjson

from migrator.mapping.errors import Undecodable, Unencodable, Unfit
from migrator.mapping.forward import owned_keys
from migrator.mapping.inverse import ItemInverse, differing_columns
from migrator.mapping.ownership import claims
from migrator.mapping.pattern import Query

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from migrator.mapping.forward import Row, WireItem
    from migrator.mapping.pattern import Pattern

Identity: TypeAlias = "tuple[Hashable, ...]"
"""Which row: the values of the columns that an item's key holds whole, and the item's place among several such."""
Entry = TypeVar("Entry")

_SORTED: Final = orjson.OPT_SORT_KEYS


@dataclass(frozen=True, slots=True)
class Answer(Generic[Entry]):
    """The first entries of an answer, in order, and whether they are all of them."""

    entries: Sequence[Entry]
    whole: bool


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A row on which the answers differ, with the item and the row as far as they are in them.

    `evidence` is what both hold, the same for as long as that is so.
    """

    what: str
    item: WireItem | None
    row: Row | None
    evidence: bytes


class Comparison:
    """Holds answers to one access pattern against each other."""

    def __init__(self, pattern: Pattern) -> None:
        self.entity = pattern.entity
        self._bound = self.entity.plan.items[pattern.item]
        self._inverse = ItemInverse(self.entity, self._bound)
        index = self.entity.table.index(pattern.index or "") if isinstance(pattern, Query) else None
        self._is_whole = index is None or index.projection == "ALL"
        self._sort = pattern.slots[1] if isinstance(pattern, Query) and len(pattern.slots) > 1 else None
        fields = (field for slot in self._bound.keys for field in slot.template.fields)
        self._columns = sorted({field.column for field in fields if field.lossless})

    def disagreements(self, items: Answer[WireItem], rows: Answer[Row]) -> dict[Identity, Disagreement]:
        """The rows on which the answers differ; none: they say the same, as far as both of them go."""
        there = self._told_apart(items.entries)
        asked = {self._identity(row): row for row in rows.entries}
        found: dict[Identity, Disagreement] = {}
        tails = {self._of_item(item) for item in items.entries[-1:]} | {self._of_row(row) for row in rows.entries[-1:]}
        for one in _beyond(there, asked, whole=rows.whole):
            if rows.whole or self._of_item(there[one]) not in tails:
                found[one] = self._disagreement("extra", there[one], None)
        for one in _beyond(asked, there, whole=items.whole):
            if items.whole or self._of_row(asked[one]) not in tails:
                found[one] = self._disagreement("missing", None, asked[one])
        for one in self._out_of_order(there, asked):
            found[one] = self._disagreement("out of order", there[one], asked[one])
        for one in there.keys() & asked.keys() if self._is_whole else ():
            differing = self._differing(there[one], asked[one])
            if differing is not None:
                found[one] = self._disagreement(differing, there[one], asked[one])
        return found

    def keys(self, disagreement: Disagreement) -> Iterator[WireItem]:
        """The keys of the items that it is about: of the one that is there, and of the one that should be."""
        if disagreement.item is not None:
            yield {key.name: disagreement.item[key.name] for key in self.entity.table.key_attributes}
        if disagreement.row is not None:
            with suppress(Unencodable):
                yield owned_keys(self.entity, disagreement.row)[self._bound.number]

    def named(self, identity: Identity) -> str:
        """A row as text: what tells it from others."""
        pairs = zip(self._columns, identity, strict=False)
        return ", ".join(f"{name}={value}" for name, value in pairs) or "an item of another form"

    def _told_apart(self, items: Sequence[WireItem]) -> dict[Identity, WireItem]:
        """Items by their rows; further ones of a row, and those that are of none, have identities of their own."""
        seen: Counter[Identity] = Counter()
        told: dict[Identity, WireItem] = {}
        for item in items:
            claim = next((one for one in claims([self.entity], item) if one.number == self._bound.number), None)
            identity = () if claim is None else self._identity(claim.values)
            told[(*identity, seen[identity]) if claim is None or seen[identity] else identity] = item
            seen[identity] += 1
        return told

    def _identity(self, values: Row) -> Identity:
        kinds = self.entity.plan.kinds
        return tuple(kinds[name].normal(values[name]) for name in self._columns)

    def _of_item(self, item: WireItem) -> str:
        """What DynamoDB sorts an item by."""
        return "" if self._sort is None else str(item.get(self._sort.attribute.name))

    def _of_row(self, row: Row) -> str | None:
        """What a row's item should be sorted by; None where it has none."""
        try:
            return "" if self._sort is None else str(self._sort.value(row))
        except Unfit:
            return None

    def _out_of_order(self, there: Mapping[Identity, WireItem], asked: Mapping[Identity, Row]) -> Iterator[Identity]:
        """As few of the rows in both answers as would have to move, for the order to be the same."""
        places: dict[Identity, int] = {}
        place, last = 0, None
        for one, item in there.items():
            sort = self._of_item(item)
            place += sort != last
            places[one], last = place, sort
        common = [one for one in asked if one in places]
        kept = _longest_in_order([places[one] for one in common])
        return (one for number, one in enumerate(common) if number not in kept)

    def _differing(self, item: WireItem, row: Row) -> str | None:
        """How the values that an item gives back differ from its row's."""
        try:
            differing = differing_columns(self.entity, row, self._inverse.part(item))
        except Undecodable as error:
            return f"not led back at {error.where}"
        return f"different in {', '.join(differing)}" if differing else None

    def _disagreement(self, what: str, item: WireItem | None, row: Row | None) -> Disagreement:
        evidence = orjson.dumps([what, item, None if row is None else list(map(repr, row.values()))], None, _SORTED)
        return Disagreement(what, item, row, evidence)


def _beyond(mine: Mapping[Identity, Any], theirs: Mapping[Identity, Any], *, whole: bool) -> list[Identity]:
    """What one answer has and the other has not; where that one goes on, only what stands before something in both."""
    only = [one for one in mine if one not in theirs]
    if whole:
        return only
    last = max((number for number, one in enumerate(mine) if one in theirs), default=len(mine))
    before = set(list(mine)[: last + 1])
    return [one for one in only if one in before]


def _longest_in_order(numbers: Sequence[int]) -> set[int]:
    """The positions of a longest part of the sequence that does not descend."""
    ends: list[int] = []
    chain: list[int] = []
    before: list[int] = []
    for position, number in enumerate(numbers):
        length = bisect_right(ends, number)
        before.append(chain[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        chain[length : length + 1] = [position]
    kept, position = set[int](), chain[-1] if chain else -1
    while position >= 0:
        kept.add(position)
        position = before[position]
    return kept
