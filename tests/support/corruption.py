"""Every way in which an item can be wrong, each with the difference that a verification has to name.

A corruption takes one item (or two) that is right, and says what to write or delete and what must be found then. One
that an item offers no place for (a list's order where there is no list) is not applicable there, and gives None.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from migrator.engines.verify import Difference, Verdict
from migrator.mapping import claims, owned_keys, row_key
from tests.support.edits import EDITS, ENVELOPE, INDEX_KEYS, SET_EDITS

if TYPE_CHECKING:
    from random import Random

    from migrator.mapping import Entity, Row, WireItem
    from tests.support.edits import Edit


@dataclass(frozen=True)
class Target:
    """An item as it should be, of which entity and row it is, and its number among the row's items."""

    entity: Entity
    row: Row
    number: int
    item: WireItem

    @property
    def key(self) -> WireItem:
        return {name: self.item[name] for name in ("PK", "SK")}


@dataclass(frozen=True)
class Found:
    """A difference as far as it is foreseen."""

    verdict: Verdict
    key: tuple[str, str]
    entity: str | None
    row_key: tuple[str, ...] | None
    attributes: tuple[str, ...] = ()
    index_keys: tuple[str, ...] = ()
    ttl: bool = False

    @classmethod
    def of(cls, difference: Difference) -> Found:
        """What a verification has found."""
        return cls(
            difference.verdict,
            (difference.key["PK"], difference.key["SK"]),
            difference.entity,
            difference.row_key,
            tuple(sorted(difference.attributes)),
            tuple(sorted(difference.index_keys)),
            difference.ttl,
        )


@dataclass
class Corruption:
    """What is done to a table, and what must be found then."""

    put: list[WireItem] = field(default_factory=list)
    delete: list[WireItem] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)


Kind: TypeAlias = Callable[["Random", Target], "Corruption | None"]


def _found(target: Target, verdict: Verdict, attributes: AbstractSet[str] = frozenset()) -> Found:
    return Found(
        verdict,
        (target.item["PK"]["S"], target.item["SK"]["S"]),
        target.entity.name,
        row_key(target.entity, target.row),
        tuple(sorted(attributes)),
        tuple(sorted(attributes & set(INDEX_KEYS))),
        "TTL" in attributes,
    )


def _different(edit: Edit) -> Kind:
    """The corruption that an edit of the item is."""

    def corrupt(random: Random, target: Target) -> Corruption | None:
        item = deepcopy(target.item)
        attributes = edit(random, target.entity, item)
        if attributes is None:
            return None
        return Corruption(put=[item], found=[_found(target, Verdict.DIFFERENT, attributes)])

    return corrupt


def _dropped(_random: Random, target: Target) -> Corruption:
    return Corruption(delete=[target.key], found=[_found(target, Verdict.MISSING)])


def _lookup_dropped(_random: Random, target: Target) -> Corruption | None:
    """One of a row's further items, which are for looking the row up, is gone."""
    return _dropped(_random, target) if target.number else None


def _duplicate(random: Random, target: Target) -> Corruption | None:
    """The item once more, under a key that its row would have if other columns of the key were others."""
    slots = target.entity.plan.items[target.number].keys
    columns = {name for slot in slots for name in slot.template.columns} - set(target.entity.key_columns)
    other = {**target.row, **{name: _elsewhere(random, target.row[name]) for name in columns}}
    item = {**target.item, **owned_keys(target.entity, other)[target.number]}
    return Corruption(put=[item], found=[_extra(target, item)]) if columns else None


def _elsewhere(random: Random, value: object) -> str:
    """Another value for a part of a key: of an instant, another year."""
    text = str(value)
    return (
        f"19{random.randrange(70, 100)}{text[4:]}" if text[4:5] == "-" and text[7:8] == "-" else _another(random, text)
    )


def _tombstone(_random: Random, target: Target) -> Corruption:
    return Corruption(
        put=[{**target.key, "_v": {"N": "7"}, "_del": {"BOOL": True}}], found=[_found(target, Verdict.MISSING)]
    )


def _extra(target: Target, item: WireItem) -> Found:
    owners = [claim for claim in claims([target.entity], item) if claim.number == target.number]
    entity, key = (owners[0].entity.name, owners[0].row_key) if owners else (None, None)
    return Found(Verdict.EXTRA, (item["PK"]["S"], item["SK"]["S"]), entity, key)


def _stray(random: Random, target: Target) -> Corruption:
    """An item of a row that does not exist."""
    other = {**target.row, **{name: _another(random, target.row[name]) for name in target.entity.key_columns}}
    item = {**target.item, **owned_keys(target.entity, other)[target.number]}
    return Corruption(put=[item], found=[_extra(target, item)])


def _another(random: Random, value: object) -> str:
    """Another key like this one: its last hexadecimal digits are others."""
    text = str(value)
    return text[:-8] + f"{random.getrandbits(32):08x}"


def _moved(random: Random, target: Target) -> Corruption:
    stray = _stray(random, target)
    return Corruption(stray.put, [target.key], [*stray.found, _found(target, Verdict.MISSING)])


def _foreign(random: Random, target: Target) -> Corruption:
    """An item whose key no template of the model parses."""
    number = random.getrandbits(64)
    item = {**target.item, "PK": {"S": f"INVOICE#{number:x}"}, "SK": {"S": "METADATA"}}
    return Corruption(put=[item], found=[Found(Verdict.EXTRA, (item["PK"]["S"], "METADATA"), None, None)])


def _lower_case(_random: Random, target: Target) -> Corruption | None:
    """The key in another case: DynamoDB tells them apart."""
    item = {**target.item, "PK": {"S": target.item["PK"]["S"].lower()}}
    return Corruption(put=[item], found=[Found(Verdict.EXTRA, (item["PK"]["S"], item["SK"]["S"]), None, None)])


KINDS: dict[str, Kind] = {
    "dropped": _dropped,
    "lookup item dropped": _lookup_dropped,
    "duplicate under another key": _duplicate,
    "tombstone": _tombstone,
    "stray": _stray,
    "foreign prefix": _foreign,
    "key in lower case": _lower_case,
    "key changed": _moved,
    **{name: _different(edit) for name, edit in EDITS.items()},
}
"""By name. What swaps two items is made by `swapped`."""
SET_KINDS: dict[str, Kind] = {name: _different(edit) for name, edit in SET_EDITS.items()}


def swapped(one: Target, other: Target, differing: set[str]) -> Corruption:
    """Two items of one kind with each other's envelope, whose members `differing` are not the same."""
    pairs = ((one, other), (other, one))
    return Corruption(
        put=[{**mine.item, ENVELOPE: theirs.item[ENVELOPE]} for mine, theirs in pairs],
        found=[_found(mine, Verdict.DIFFERENT, differing) for mine, _ in pairs],
    )
