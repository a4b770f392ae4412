"""From a row's items back to the row. Nothing here is shared with the encoders: it is their witness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from migrator.mapping import kind as kinds
from migrator.mapping.array import Set
from migrator.mapping.entity import NULL
from migrator.mapping.errors import FUNCTION_ERRORS, MappingError, Undecodable, Unfit
from migrator.mapping.ownership import key_values
from migrator.mapping.plain import plain
from migrator.mapping.plan import BOUNDS, ComputedAttribute, Slot, StoredAttribute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.entity import Entity, Expiry
    from migrator.mapping.forward import Row, WireItem
    from migrator.mapping.kind import RowValue
    from migrator.mapping.plan import BoundAttribute, BoundIndex, BoundItem


@dataclass(frozen=True)
class Recovery:
    """Where a column's value is found again: an item's number, and in it an attribute, a key attribute or the expiry.

    `absent` says that a key attribute which is not there means NULL.
    """

    item: int
    place: BoundAttribute | Slot | Expiry
    enveloped: bool = False
    absent: bool = False


class Inverse:
    """The way back for one entity, planned once.

    `lost` names the columns that no item holds; an entity with such columns has no full way back.
    """

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self._ways: dict[str, Recovery] = {}
        for item in entity.plan.items:
            if item.condition is None:
                for column, way in _ways(entity, item):
                    self._ways.setdefault(column, way)
        dropped = {column.name for column in entity.dropped}
        self.columns = tuple(
            column.name for column in entity.source.columns if column.computed is None and column.name not in dropped
        )
        self.lost = tuple(name for name in self.columns if name not in self._ways)

    def row(self, items: Sequence[WireItem]) -> Row:
        """The row that became these items.

        Raises:
            MappingError: the entity has no way back.
            Undecodable: an item is missing, or has not the form that the mapping gives it.
        """
        if self.lost:
            raise MappingError(f"{self.entity.name} has no way back: {', '.join(self.lost)} are in no item")
        found: dict[int, WireItem] = {}
        for item in items:
            number = item_number(self.entity, item)
            if number is not None:
                found[number] = item
        return {column: self._column(column, self._ways[column], found) for column in self.columns}

    def _column(self, column: str, way: Recovery, items: dict[int, WireItem]) -> RowValue:
        item = items.get(way.item)
        if item is None:
            raise Undecodable(self.entity.name, column, f"item {way.item} of the row is missing")
        return _recovered(self.entity, column, way, item)


class ItemInverse:
    """The way back from one of an entity's items alone: to `columns`, whose values it holds whole."""

    def __init__(self, entity: Entity, item: BoundItem) -> None:
        self.entity = entity
        self._ways: dict[str, Recovery] = {}
        for column, way in _ways(entity, item):
            self._ways.setdefault(column, way)
        self.columns = frozenset(self._ways)

    def part(self, item: WireItem) -> Row:
        """The columns' values that an item gives back.

        Raises:
            Undecodable: the item has not the form that the mapping gives it.
        """
        return {column: _recovered(self.entity, column, way, item) for column, way in self._ways.items()}


def _recovered(entity: Entity, column: str, way: Recovery, item: WireItem) -> RowValue:
    """A column's value from the item that holds it."""
    try:
        match way.place:
            case StoredAttribute():
                return _stored(way.place, _held(entity, way, item).get(way.place.name))
            case ComputedAttribute():
                return _computed(column, way.place, _held(entity, way, item).get(way.place.name))
            case Slot():
                return _from_slot(column, way, way.place, item)
        return _from_expiry(way.place, item.get(entity.table.ttl or ""))
    except Unfit as unfit:
        raise Undecodable(entity.name, column, unfit.reason) from unfit


def _held(entity: Entity, way: Recovery, item: WireItem) -> WireItem:
    """The attributes among which the column's stands."""
    if not way.enveloped:
        return item
    content = item.get(entity.table.envelope or "", {}).get("M")
    if not isinstance(content, dict):
        raise Unfit(f"{entity.table.envelope} is no Map")
    return content


def _stored(attribute: StoredAttribute, value: AttributeValue | None) -> RowValue:
    if value is None or (attribute.nullable and attribute.null is NULL and set(value) == {"NULL"}):
        return None
    return kinds.read(attribute.kind, value)


def _computed(column: str, attribute: ComputedAttribute, value: AttributeValue | None) -> RowValue:
    inverse = attribute.computed.inverse
    if inverse is None:
        raise Unfit(f"attribute {attribute.name} has no inverse")
    try:
        return inverse(None if value is None else plain(value))[attribute.columns.index(column)]
    except Unfit:
        raise
    except FUNCTION_ERRORS as error:
        raise Unfit(f"the inverse of computed attribute {attribute.name} raised {type(error).__name__}") from error


def _from_slot(column: str, way: Recovery, slot: Slot, item: WireItem) -> RowValue:
    value = item.get(slot.attribute.name)
    if value is None:
        if way.absent:
            return None
        raise Unfit(f"{slot.attribute.name} is missing")
    parsed = slot.parse(value)
    if parsed is None:
        raise Unfit(f"{slot.attribute.name} does not have the form {slot.template.text}")
    return parsed[column]


def _from_expiry(ttl: Expiry, value: AttributeValue | None) -> RowValue:
    return None if value is None else kinds.read(kinds.Integer(), value) - ttl.after // timedelta(seconds=1)


def _ways(entity: Entity, item: BoundItem) -> Iterator[tuple[str, Recovery]]:
    """Each column that this item holds whole, the surest place first."""
    held = [(attribute, False) for attribute in item.attributes] + [(attribute, True) for attribute in item.data]
    for attribute, enveloped in sorted(held, key=lambda each: _is_set(each[0])):
        if isinstance(attribute, StoredAttribute) or attribute.computed.inverse is not None:
            yield from ((column, Recovery(item.number, attribute, enveloped)) for column in attribute.columns)
    for slot in item.keys:
        yield from ((column, Recovery(item.number, slot)) for column in _whole(slot))
    for index in item.indexes:
        yield from _index_ways(item, index)
    ttl = entity.ttl
    if ttl is not None and isinstance(entity.plan.kinds[ttl.column.name], kinds.Integer):
        yield ttl.column.name, Recovery(item.number, ttl)


def _index_ways(item: BoundItem, index: BoundIndex) -> Iterator[tuple[str, Recovery]]:
    for slot in index.slots:
        for column in _whole(slot):
            # An item is out of the index where any nullable column is NULL: only of a sole one that tells which.
            if index.nullable in {(), (column,)}:
                yield column, Recovery(item.number, slot, absent=bool(index.nullable))


def _is_set(attribute: BoundAttribute) -> bool:
    """A Set does not keep the order of an array, which another attribute may."""
    return isinstance(attribute, StoredAttribute) and isinstance(attribute.kind, Set)


def _whole(slot: Slot) -> Iterator[str]:
    """The columns whose values a key attribute's value gives back."""
    if all(field.bounded for field in slot.template.fields):
        for field in slot.template.fields:
            if field.lossless:
                yield field.column


def item_number(entity: Entity, item: WireItem) -> int | None:
    """Which of the entity's items this is, by the form of its key; None where it is none of them."""
    return next((one.number for one in entity.plan.items if key_values(one, item) is not None), None)


def differing_columns(entity: Entity, row: Row, other: Row) -> list[str]:
    """The columns in which two rows differ, values compared as PostgreSQL holds them (a Set's without their order)."""
    return [
        name
        for name, kind in entity.plan.compared.items()
        if not name.endswith(BOUNDS) and name in other and _normal(kind, row.get(name)) != _normal(kind, other[name])
    ]


def _normal(kind: kinds.Kind, value: RowValue) -> object:
    return None if value is None else (type(value).__name__, kind.normal(value))
