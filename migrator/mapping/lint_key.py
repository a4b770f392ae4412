"""Problems of an item's keys: that do not identify a row, cannot be read back, sort wrongly or can never fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from migrator.mapping import kind as kinds
from migrator.mapping import limits
from migrator.mapping.overlap import can_begin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.entity import Entity
    from migrator.mapping.field import Field
    from migrator.mapping.plan import BoundItem, Slot

_SOLE_TYPES: Final = {"N": (kinds.Integer, kinds.Numeric, kinds.Epoch), "B": (kinds.Binary,)}
_UNWRITABLE: Final = (kinds.Numeric, kinds.Binary, kinds.Epoch)


def key_problems(entity: Entity, item: BoundItem) -> Iterator[str]:
    """Sentences on what is wrong with the keys of an item, its index keys included."""
    for slot in item.keys:
        for name in slot.template.columns:
            if name in entity.plan.nullable:
                yield (
                    f"column {name} in key '{slot.template.text}' can be NULL, and a key cannot. "
                    "Use a NOT NULL column, or make the column NOT NULL."
                )
    yield from _identity(entity, item)
    for slots in (item.keys, *(index.slots for index in item.indexes)):
        for position, slot in enumerate(slots):
            yield from _size_problems(slot, limits.SORT_KEY_BYTES if position else limits.PARTITION_KEY_BYTES)
            yield from _slot_problems(slot)
            if position and slot.attribute.type == "S":
                yield from _order_problems(slot)


def foreign_problems(entity: Entity) -> Iterator[str]:
    """Sentences on keys of an entity's items that its table declares to be those of items that are not of the model."""
    for item in entity.plan.items:
        slot = item.keys[0]
        for prefix in entity.table.foreign if slot.attribute.type == "S" else ():
            if prefix and can_begin(slot.template, prefix):
                yield (
                    f"item {item.number}'s key '{slot.template.text}' can begin with '{prefix}', which table "
                    f"{entity.table.name} declares to be `foreign`. Declare a longer prefix, or begin the template "
                    "with another literal."
                )


def _identity(entity: Entity, item: BoundItem) -> Iterator[str]:
    """Whether the key tells one row from another."""
    held = {f.column for slot in item.keys for f in slot.template.fields if f.lossless}
    candidates = [set(entity.key_columns), *map(set, _unique_sets(entity))]
    if not any(candidate and candidate <= held for candidate in candidates):
        key = " / ".join(slot.template.text for slot in item.keys)
        yield (
            f"two rows can have the key '{key}': it holds {', '.join(sorted(held)) or 'no column'} whole, "
            f"which is neither the primary key ({', '.join(entity.key_columns)}) nor declared unique. "
            "Add the missing columns to a template, or declare `unique`."
        )


def _unique_sets(entity: Entity) -> Iterator[list[str]]:
    columns = entity.source.columns
    for declared in entity.unique:
        yield [column.name for column in declared]
    for constraint in entity.source.constraints:
        names = [column.name for column in constraint.columns] if isinstance(constraint, sa.UniqueConstraint) else []
        if names and not any(columns[name].nullable for name in names):
            yield names
    for column in columns:
        if column.unique and not column.nullable:
            yield [column.name]


def _size_problems(slot: Slot, limit: int) -> Iterator[str]:
    template = slot.template
    if not template.parts:
        yield (
            f"the template of key attribute {slot.attribute.name} is empty, and a key cannot be. "
            "Write a literal or a field."
        )
    if template.least_bytes > limit:
        yield (
            f"'{template.text}' gives at least {template.least_bytes} bytes, and key attribute {slot.attribute.name} "
            f"holds {limit}. Shorten it."
        )


def _slot_problems(slot: Slot) -> Iterator[str]:
    text, attribute = slot.template.text, slot.attribute
    sole = slot.template.sole
    if attribute.type != "S":
        if sole is None or not isinstance(sole.kind, _SOLE_TYPES[attribute.type]):
            yield (
                f"key attribute {attribute.name} has type {attribute.type}, which '{text}' does not give. "
                f"Use a template of one column of a fitting type, or declare {attribute.name} as a String."
            )
        return
    for field in slot.template.fields:
        if isinstance(field.kind, _UNWRITABLE):
            yield (
                f"column {field.column} of kind {type(field.kind).__name__} in '{text}' has no text form for a key of "
                f"type String. Declare {attribute.name} with another type, or use another column."
            )
        elif not field.bounded:
            yield (
                f"'{text}' cannot be read back: where {field.column} ends cannot be told. "
                f"Write {{{field.column}:escape}} and put '#' behind it, or move it to the end of the template."
            )


def _order_problems(slot: Slot) -> Iterator[str]:
    for field in slot.template.fields:
        if not field.ordered and not isinstance(field.kind, _UNWRITABLE):
            spec = "escape,unordered" if field.spec == "escape" else "unordered"
            yield (
                f"the text of {field.column} in sort key '{slot.template.text}' does not sort as its values do. "
                f"{_advice(field)}, or write {{{field.column}:{spec}}} where the order does not matter."
            )


def _advice(field: Field) -> str:
    match field.kind:
        case kinds.Integer():
            return f"Pad it, as in {{{field.column}:012}}"
        case kinds.Text():
            return f"Write {{{field.column}:escape}} and put '#' behind it"
    return "Use another column"
