"""From a row's items back to the row. Nothing here is shared with the encoders: it is their witness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from migrator.mapping import document
from migrator.mapping import kind as kinds
from migrator.mapping.entity import NULL
from migrator.mapping.errors import MappingError, Undecodable, Unfit
from migrator.mapping.plan import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.forward import Row, WireItem
    from migrator.mapping.plan import BoundAttribute, BoundIndex, BoundItem, Slot


@dataclass(frozen=True)
class Recovery:
    """Where in an item a column's value is found again: in an attribute, or in a key's template."""

    item: BoundItem
    attribute: BoundAttribute | None = None
    enveloped: bool = False
    slot: Slot | None = None
    ttl: bool = False


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

    def _column(self, column: str, way: Recovery, items: dict[int, WireItem]) -> Any:  # noqa: ANN401 - a row's value
        item = items.get(way.item.number)
        if item is None:
            raise Undecodable(self.entity.name, column, f"item {way.item.number} of the row is missing")
        try:
            return self._recover(column, way, item)
        except Unfit as unfit:
            raise Undecodable(self.entity.name, column, unfit.reason) from unfit

    def _recover(self, column: str, way: Recovery, item: WireItem) -> Any:  # noqa: ANN401 - a row's value
        if way.slot is not None:
            return _from_slot(column, way.slot, item)
        if way.ttl:
            ttl = self.entity.ttl
            value = item.get(self.entity.table.ttl or "")
            offset = 0 if ttl is None else ttl.after // timedelta(seconds=1)
            return None if value is None else kinds.read(kinds.Integer(), value) - offset
        attribute = way.attribute
        if attribute is None:
            raise Unfit("no attribute holds it")
        holder = item.get(self.entity.table.envelope or "", {}).get("M", {}) if way.enveloped else item
        value = holder.get(attribute.name)
        if value is None or (attribute.null is NULL and set(value) == {"NULL"}):
            return None
        if attribute.computed is not None and attribute.computed.inverse is not None:
            plain = document.plain(value)
            return attribute.computed.inverse(plain)[attribute.columns.index(column)]
        return kinds.read(attribute.kind or kinds.Json(), value)


def _from_slot(column: str, slot: Slot, item: WireItem) -> Any:  # noqa: ANN401 - a row's value
    value = item.get(slot.attribute.name)
    if value is None:
        return None
    parsed = slot.parse(value)
    if parsed is None:
        raise Unfit(f"{slot.attribute.name} does not have the form {slot.template.text}")
    return parsed[column]


def _ways(entity: Entity, item: BoundItem) -> Iterator[tuple[str, Recovery]]:
    """Each column that this item holds whole, the surest place first."""
    source = entity.source
    for enveloped, attributes in ((False, item.attributes), (True, item.data)):
        for attribute in attributes:
            if attribute.computed is None or attribute.computed.inverse is not None:
                for column in attribute.columns:
                    yield column, Recovery(item, attribute=attribute, enveloped=enveloped)
    for slot in item.keys:
        yield from _slot_ways(item, slot)
    for index in item.indexes:
        if _absence_tells(index):
            for slot in index.slots:
                yield from _slot_ways(item, slot)
    ttl = entity.ttl
    if ttl is not None and isinstance(entity.plan.kinds[ttl.column.name], kinds.Integer):
        yield source.columns[ttl.column.name].name, Recovery(item, ttl=True)


def _absence_tells(index: BoundIndex) -> bool:
    """Whether an item's absence from the index tells which column is NULL: only where there is one candidate."""
    return len(index.nullable) <= 1


def _slot_ways(item: BoundItem, slot: Slot) -> Iterator[tuple[str, Recovery]]:
    if all(field.bounded for field in slot.template.fields):
        for field in slot.template.fields:
            if field.lossless:
                yield field.column, Recovery(item, slot=slot)


def item_number(entity: Entity, item: WireItem) -> int | None:
    """Which of the entity's items this is, by the form of its key; None where it is none of them."""
    for candidate in entity.plan.items:
        values = [item.get(slot.attribute.name) for slot in candidate.keys]
        try:
            parsed = [None if v is None else s.parse(v) for s, v in zip(candidate.keys, values, strict=True)]
        except Unfit:
            continue
        if all(part is not None for part in parsed):
            return candidate.number
    return None


def differing_columns(entity: Entity, row: Row, other: Row) -> list[str]:
    """The columns in which two rows differ, values compared as PostgreSQL holds them."""
    return [
        name
        for name, kind in entity.plan.kinds.items()
        if not name.endswith(BOUNDS)
        and name in other
        and _normal(kind, row.get(name)) != _normal(kind, other.get(name))
    ]


def _normal(kind: kinds.Kind, value: Any) -> object:  # noqa: ANN401 - a row's value
    return None if value is None else (type(value).__name__, kind.normal(value))
