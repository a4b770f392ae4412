"""Problems of one entity: its keys, and attributes that clash, are lost or are in no item."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from migrator.mapping import kind as kinds
from migrator.mapping import limits
from migrator.mapping.entity import Attribute
from migrator.mapping.errors import MappingError
from migrator.mapping.fingerprint import entity_fingerprint
from migrator.mapping.inverse import Inverse
from migrator.mapping.lint_key import key_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.entity import Entity


def entity_problems(entity: Entity) -> Iterator[str]:
    """Sentences on what is wrong with an entity that could be bound."""
    if not entity.key_columns:
        yield f"{entity.source_name} has no primary key. Give it one: rows are read in key order and named by key."
    if not entity.items:
        yield "It has no items. Give it at least one Item."
    for item in entity.plan.items:
        yield from (f"Item {item.number}: {sentence}" for sentence in key_problems(entity, item))
    yield from _name_problems(entity)
    yield from _selection_problems(entity)
    yield from _ttl_problems(entity)
    if entity.key_columns and entity.items:
        for name in Inverse(entity).lost:
            yield (
                f"Column {name} cannot be recovered from the items. Store it whole in an unconditional item, "
                "or list it in `dropped` to give it up on the way back."
            )
    try:
        entity_fingerprint(entity)
    except MappingError as error:
        yield error.sentence


def entity_warnings(entity: Entity) -> Iterator[str]:
    """Sentences on what an operator should know before an entity is moved."""
    for attribute in (*entity.attributes, *entity.data):
        if isinstance(attribute, Attribute) and attribute.encrypted:
            yield (
                f"Attribute {attribute.name} is declared encrypted, and no data key is configured: "
                "it is stored as the source has it."
            )


def _name_problems(entity: Entity) -> Iterator[str]:
    table = entity.table
    keys = {key.name for key in table.all_key_attributes}
    taken = {*keys, *limits.RESERVED_ATTRIBUTES, table.discriminator, table.envelope, table.ttl}
    for attribute in entity.attributes:
        if attribute.name in taken:
            yield f"Attribute {attribute.name} has a name that is reserved or that the table uses otherwise. Rename it."
    for attributes in (entity.attributes, entity.data):
        for name, count in Counter(attribute.name for attribute in attributes).items():
            size = len(name.encode())
            if count > 1:
                yield f"{count} attributes are called {name}. Give each a name of its own."
            if not 0 < size <= limits.ATTRIBUTE_NAME_BYTES:
                yield f"An attribute has a name of {size} bytes. Use 1 to {limits.ATTRIBUTE_NAME_BYTES}."


def _selection_problems(entity: Entity) -> Iterator[str]:
    if entity.data and entity.table.envelope is None:
        yield (
            f"It lists `data`, and table {entity.table.name} has no envelope. "
            "List the attributes in `attributes`, or name an envelope."
        )
    names = {attribute.name for attribute in (*entity.attributes, *entity.data)}
    for number, item in enumerate(entity.items):
        for name in (*item.data.names, *item.attributes.names):
            if name not in names:
                yield f"Item {number} selects attribute {name}, which is not declared. Declare it, or correct the name."
    if not entity.items:
        return
    for attribute in entity.attributes:
        if not any(item.attributes.holds(attribute.name) for item in entity.items):
            yield f"Attribute {attribute.name} is in no item. Select it in one, or remove it."
    for attribute in entity.data:
        if not any(item.data.holds(attribute.name) for item in entity.items):
            yield f"Attribute {attribute.name} is in no item. Select it in one, or remove it."


def _ttl_problems(entity: Entity) -> Iterator[str]:
    if entity.ttl is None:
        return
    if entity.table.ttl is None:
        yield f"It declares a ttl, and table {entity.table.name} names no TTL attribute. Name one in the table's `ttl`."
    kind = entity.plan.kinds[entity.ttl.column.name]
    if not isinstance(kind, (kinds.Integer, kinds.Instant)):
        yield (
            f"Its ttl is computed from column {entity.ttl.column.name}, which is neither an integer nor an instant. "
            "Use another column."
        )
    if entity.ttl.after % timedelta(seconds=1):
        yield "Its ttl is `after` a fraction of a second. Use whole seconds: DynamoDB counts no finer."
