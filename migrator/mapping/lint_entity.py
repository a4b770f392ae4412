"""Problems of one entity: keys that do not identify, cannot be read back or sort wrongly, and attributes that clash."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from migrator.mapping import condition as conditions
from migrator.mapping import kind as kinds
from migrator.mapping import limits
from migrator.mapping.inverse import Inverse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.entity import Entity
    from migrator.mapping.plan import BoundItem, Slot

_SOLE_TYPES: Final = {"N": (kinds.Integer, kinds.Numeric, kinds.Epoch), "B": (kinds.Binary,)}
_UNWRITABLE: Final = (kinds.Numeric, kinds.Float, kinds.Binary, kinds.Epoch)
_COMPARABLE: Final = (kinds.Boolean, kinds.Integer, kinds.Numeric, kinds.Text, kinds.Uuid, kinds.Labelled)


def entity_problems(entity: Entity) -> Iterator[str]:
    """Sentences on what is wrong with an entity that could be bound."""
    if not entity.key_columns:
        yield f"{entity.source_name} has no primary key. Give it one: rows are read in key order and named by key."
    if not entity.items:
        yield "It has no items. Give it at least one Item."
    for item in entity.plan.items:
        yield from (f"Item {item.number}: {sentence}" for sentence in _item_problems(entity, item))
    yield from _attribute_problems(entity)
    yield from _ttl_problems(entity)
    if entity.key_columns and entity.items:
        for name in Inverse(entity).lost:
            yield (
                f"Column {name} cannot be recovered from the items. Store it whole in an unconditional item, "
                "or list it in `dropped` to give it up on the way back."
            )


def _item_problems(entity: Entity, item: BoundItem) -> Iterator[str]:
    columns = entity.source.columns
    for slot in item.keys:
        for name in slot.template.columns:
            if columns[name].nullable:
                yield (
                    f"column {name} in key '{slot.template.text}' can be NULL, and a key cannot. "
                    "Use a NOT NULL column, or make the column NOT NULL."
                )
    yield from _identity(entity, item)
    for slot in (*item.keys, *(slot for index in item.indexes for slot in index.slots)):
        yield from _slot_problems(slot)
    sorted_by = [*item.keys[1:], *(slot for index in item.indexes for slot in index.slots[1:])]
    for slot in sorted_by:
        yield from _order_problems(slot)
    if item.condition is not None:
        for name in dict.fromkeys(conditions.columns(item.condition)):
            if not isinstance(entity.plan.kinds[name], _COMPARABLE):
                yield f"its condition compares column {name}, whose type Python may compare otherwise than PostgreSQL. Use another column."


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
                f"Write {{{field.column}:escape}}, or move it to the end of the template."
            )
    literals = sum(len(part.encode()) for part in slot.template.parts if isinstance(part, str))
    if literals > limits.SORT_KEY_BYTES:
        yield f"'{text}' has {literals} bytes of literal text, more than a key holds. Shorten it."


def _order_problems(slot: Slot) -> Iterator[str]:
    if slot.attribute.type != "S":
        return
    for field in slot.template.fields:
        if not field.ordered and not isinstance(field.kind, _UNWRITABLE):
            advice = f"{{{field.column}:012}} (padded)" if isinstance(field.kind, kinds.Integer) else "another column"
            yield (
                f"the text of {field.column} in sort key '{slot.template.text}' does not sort as its values do. "
                f"Use {advice}, or {{{field.column}:unordered}} where the order does not matter."
            )


def _attribute_problems(entity: Entity) -> Iterator[str]:
    table = entity.table
    if entity.data and table.envelope is None:
        yield f"It lists `data`, and table {table.name} has no envelope. List the attributes in `attributes`, or name an envelope."
    keys = {key.name for key in table.key_attributes}
    for index in table.indexes:
        keys |= {key.name for key in (index.partition_key, index.sort_key) if key is not None}
    taken = {*keys, *limits.RESERVED_ATTRIBUTES, table.discriminator, table.envelope, table.ttl}
    for attribute in entity.attributes:
        if attribute.name in taken:
            yield f"Attribute {attribute.name} has a name that is reserved or that the table uses otherwise. Rename it."
    for attributes in (entity.attributes, entity.data):
        for name, count in Counter(attribute.name for attribute in attributes).items():
            if count > 1:
                yield f"{count} attributes are called {name}. Give each a name of its own."
            if not 0 < len(name.encode()) <= limits.ATTRIBUTE_NAME_BYTES:
                yield f"An attribute has a name of {len(name.encode())} bytes. Use 1 to {limits.ATTRIBUTE_NAME_BYTES}."
    names = {attribute.name for attribute in (*entity.attributes, *entity.data)}
    for number, item in enumerate(entity.items):
        for name in (*item.data.names, *item.attributes.names):
            if name not in names:
                yield f"Item {number} selects attribute {name}, which is not declared. Declare it, or correct the name."


def _ttl_problems(entity: Entity) -> Iterator[str]:
    if entity.ttl is None:
        return
    if entity.table.ttl is None:
        yield f"It declares a ttl, and table {entity.table.name} names no TTL attribute. Name one in the table's `ttl`."
    kind = entity.plan.kinds[entity.ttl.column.name]
    if not isinstance(kind, (kinds.Integer, kinds.Instant)):
        yield f"Its ttl is computed from column {entity.ttl.column.name}, which is neither an integer nor an instant. Use another column."
