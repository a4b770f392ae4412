"""The readable path from a row to its items. The compiled encoder must give the same, byte for byte in every value."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from migrator.mapping import condition, document, instant, limits
from migrator.mapping import kind as kinds
from migrator.mapping.entity import NULL, Entity, Expiry
from migrator.mapping.errors import Unencodable, Unfit
from migrator.mapping.kind import RowValue
from migrator.mapping.plan import BOUNDS, BoundAttribute, BoundItem, Plan, Slot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.document import AttributeValue

Row: TypeAlias = dict[str, RowValue]
"""Column name to value, as the source edge yields it."""
WireItem: TypeAlias = "dict[str, AttributeValue]"
"""An item as DynamoDB's wire has it."""


def row_key(entity: Entity, row: Row) -> tuple[str, ...]:
    """The row's primary key as text, for messages and checkpoints."""
    return tuple(key_text(row.get(name)) for name in entity.key_columns)


def key_text(value: RowValue) -> str:
    """A key column's value as text that PostgreSQL reads as the same value."""
    match value:
        case bytes():
            return f"\\x{value.hex()}"
        case bool():
            return "true" if value else "false"
        case Decimal():
            return format(value, "f")
    return str(value)


def forward(entity: Entity, row: Row) -> list[WireItem]:
    """The items of a row, the main one first; those whose condition does not hold are left out.

    Raises:
        Unencodable: a value has no exact form in DynamoDB, or a limit is exceeded.
    """
    return [_Composer(entity, row).item(item) for item in entity.plan.items if _wanted(item, row)]


def owned_keys(entity: Entity, row: Row) -> list[WireItem]:
    """The key of each item that the row owns, whether or not the item's condition holds now."""
    composer = _Composer(entity, row)
    return [composer.key(item) for item in entity.plan.items]


def expiry(plan: Plan, row: Row) -> int | None:
    """When the row's items expire, in Unix seconds; None where they do not."""
    if plan.ttl is None or row[plan.ttl.column.name] is None:
        return None
    return _expiry(plan.ttl, plan.kinds[plan.ttl.column.name], row[plan.ttl.column.name])


def _expiry(ttl: Expiry, kind: kinds.Kind, value: RowValue) -> int:
    seconds = value if isinstance(kind, kinds.Integer) else instant.epoch_seconds(value)
    return int(seconds + ttl.after // timedelta(seconds=1))


def _wanted(item: BoundItem, row: Row) -> bool:
    return item.condition is None or condition.holds(item.condition, row)


class _Composer:
    """Builds the items of one row and knows, when a value does not fit, which column it came from."""

    def __init__(self, entity: Entity, row: Row) -> None:
        self.entity = entity
        self.plan = entity.plan
        self.row = row

    @contextmanager
    def _naming(self, column: str) -> Iterator[None]:
        try:
            yield
        except Unfit as unfit:
            key = row_key(self.entity, self.row)
            raise Unencodable(self.entity.source_name, key, column, unfit) from unfit

    def item(self, item: BoundItem) -> WireItem:
        """One whole item."""
        table = self.entity.table
        composed = self.key(item)
        for index in item.indexes:
            if all(self.row[column] is not None for column in index.nullable):
                composed |= self._slots(index.slots)
        if table.discriminator is not None:
            composed[table.discriminator] = {"S": self.entity.name}
        if table.envelope is not None and item.data:
            composed[table.envelope] = {"M": dict(self._attributes(item.data, 1))}
        composed |= dict(self._attributes(item.attributes, 0))
        composed |= self._ttl()
        with self._naming("(the whole row)"):
            limits.check_item(composed)
        return composed

    def key(self, item: BoundItem) -> WireItem:
        """The item's own key."""
        return self._slots(item.keys)

    def _slots(self, slots: tuple[Slot, ...]) -> WireItem:
        key: WireItem = {}
        for position, slot in enumerate(slots):
            with self._naming(", ".join(slot.template.columns) or slot.attribute.name):
                if any(self.row[column] is None for column in slot.template.columns):
                    raise Unfit(f"NULL in key attribute {slot.attribute.name}")
                value = slot.value(self.row)
                limit = limits.SORT_KEY_BYTES if position else limits.PARTITION_KEY_BYTES
                limits.check_key(value, slot.attribute.name, limit)
                key[slot.attribute.name] = value
        return key

    def _attributes(self, attributes: tuple[BoundAttribute, ...], level: int) -> Iterator[tuple[str, AttributeValue]]:
        for attribute in attributes:
            with self._naming(", ".join(attribute.columns)):
                value = self._value(attribute, level)
            if value is not None:
                yield attribute.name, value
            elif attribute.null is NULL:
                yield attribute.name, {"NULL": True}

    def _value(self, attribute: BoundAttribute, level: int) -> AttributeValue | None:
        values = [self.row[column] for column in attribute.columns]
        if attribute.computed is not None:
            computed = attribute.computed.forward(*values)
            return None if computed is None else document.to_attribute(computed, level)
        (value,) = values
        if value is None or attribute.kind is None:
            return None
        if isinstance(attribute.kind, kinds.Array):
            check_bounds(self.row.get(attribute.columns[0] + BOUNDS))
        return attribute.kind.to_attribute(value, level)

    def _ttl(self) -> WireItem:
        ttl, attribute = self.plan.ttl, self.entity.table.ttl
        if ttl is None or attribute is None:
            return {}
        with self._naming(ttl.column.name):
            seconds = expiry(self.plan, self.row)
        return {} if seconds is None else {attribute: {"N": str(seconds)}}


def check_bounds(bounds: str | None) -> None:
    """Refuses an array whose elements are not counted from 1: a List could not give the lower bounds back."""
    if bounds is not None and bounds.count("[") != bounds.count("[1:"):
        raise Unfit(
            "an array whose lower bound is not 1, which a DynamoDB List does not hold",
            kinds.ARRAY_POLICY,
        )
