"""The readable path from a row to its items. The compiled encoder must give the same, byte for byte in every value."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from migrator.mapping import condition, document, instant, limits
from migrator.mapping import kind as kinds
from migrator.mapping.array import Array, check_bounds
from migrator.mapping.entity import NULL, Entity
from migrator.mapping.errors import FUNCTION_ERRORS, Unencodable, Unfit
from migrator.mapping.kind import RowValue
from migrator.mapping.plan import BOUNDS, ComputedAttribute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.plan import BoundAttribute, BoundItem, Plan, Slot

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
    until = expiry(entity.plan, row)
    composer = _Composer(entity, row)
    composer.check()
    return [composer.item(item, until) for item in entity.plan.items if _wanted(item, row)]


def owned_keys(entity: Entity, row: Row) -> list[WireItem]:
    """The key of each item that the row owns, whether or not the item's condition holds now."""
    composer = _Composer(entity, row)
    return [composer.key(item) for item in entity.plan.items]


def told_keys(entity: Entity, row: Row) -> list[WireItem]:
    """The keys that a row tells of, of which columns may be None as unknown: those of items that have a key by it."""
    composer, keys = _Composer(entity, row), []
    for item in entity.plan.items:
        with suppress(Unencodable):
            keys.append(composer.key(item))
    return keys


def expiry(plan: Plan, row: Row) -> int | None:
    """When the row's items expire, in Unix seconds; None where they do not.

    Raises:
        Unencodable: the instant has no Unix time.
    """
    if plan.ttl is None or row[plan.ttl.column.name] is None:
        return None
    name = plan.ttl.column.name
    value = row[name]
    try:
        seconds = value if isinstance(plan.kinds[name], kinds.Integer) else instant.epoch_seconds(value)
    except Unfit as unfit:
        raise Unencodable(plan.entity.source_name, row_key(plan.entity, row), name, unfit) from unfit
    return int(seconds + plan.ttl.after // timedelta(seconds=1))


def _wanted(item: BoundItem, row: Row) -> bool:
    return item.condition is None or condition.holds(item.condition, row)


class _Composer:
    """Builds the items of one row and knows, when a value does not fit, which column it came from."""

    def __init__(self, entity: Entity, row: Row) -> None:
        self.entity = entity
        self.plan = entity.plan
        self.row = row

    @contextmanager
    def _naming(self, *columns: str) -> Iterator[None]:
        try:
            yield
        except Unfit as unfit:
            key = row_key(self.entity, self.row)
            raise Unencodable(self.entity.source_name, key, ", ".join(columns), unfit) from unfit

    def check(self) -> None:
        """Refuses a row that the mapping's schema says cannot be."""
        for name in self.plan.kinds:
            if self.row[name] is None and name not in self.plan.nullable:
                with self._naming(name):
                    raise Unfit("NULL in a column that is NOT NULL in the mapping", "Correct the mapping's schema.")

    def item(self, item: BoundItem, until: int | None) -> WireItem:
        """One whole item, which expires at `until`."""
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
        if until is not None and table.ttl is not None:
            composed[table.ttl] = {"N": str(until)}
        with self._naming("(the whole row)"):
            limits.check_item(composed)
        return composed

    def key(self, item: BoundItem) -> WireItem:
        """The item's own key."""
        return self._slots(item.keys)

    def _slots(self, slots: tuple[Slot, ...]) -> WireItem:
        key: WireItem = {}
        for position, slot in enumerate(slots):
            with self._naming(*slot.template.columns or (slot.attribute.name,)):
                if any(self.row[column] is None for column in slot.template.columns):
                    raise Unfit(f"NULL in key attribute {slot.attribute.name}")
                value = slot.value(self.row)
                limit = limits.SORT_KEY_BYTES if position else limits.PARTITION_KEY_BYTES
                limits.check_key(value, slot.attribute.name, limit)
                key[slot.attribute.name] = value
        return key

    def _attributes(self, attributes: tuple[BoundAttribute, ...], level: int) -> Iterator[tuple[str, AttributeValue]]:
        for attribute in attributes:
            with self._naming(*attribute.columns):
                value = self._value(attribute, level)
            if value is not None:
                yield attribute.name, value
            elif attribute.null is NULL:
                yield attribute.name, {"NULL": True}

    def _value(self, attribute: BoundAttribute, level: int) -> AttributeValue | None:
        if isinstance(attribute, ComputedAttribute):
            computed = self._computed(attribute)
            return None if computed is None else document.to_attribute(computed, level)
        value = self.row[attribute.column]
        if value is None:
            return None
        if isinstance(attribute.kind, Array):
            check_bounds(self.row.get(attribute.column + BOUNDS))
        return attribute.kind.to_attribute(value, level)

    def _computed(self, attribute: ComputedAttribute) -> object:
        try:
            return attribute.computed.forward(*(self.row[column] for column in attribute.columns))
        except Unfit:
            raise
        except FUNCTION_ERRORS as error:
            raise Unfit(
                f"the function of computed attribute {attribute.name} raised {type(error).__name__}",
                "Let the function take every value that its columns can have, None for NULL.",
            ) from error
