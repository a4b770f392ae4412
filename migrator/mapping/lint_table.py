"""Problems of a table's declaration: DynamoDB's rules on names, key attributes and numbers of indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.mapping import limits
from migrator.mapping.table import Provisioned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.table import KeyAttribute, Table


def table_problems(table: Table) -> Iterator[str]:
    """Sentences on what is wrong with a table."""
    yield from _names(table)
    yield from _keys(table)
    if len(table.indexes) > limits.MAX_INDEXES:
        yield f"It has {len(table.indexes)} indexes, DynamoDB allows {limits.MAX_INDEXES} by default. Remove some."
    if isinstance(table.billing, Provisioned) and min(table.billing.read, table.billing.write) < 1:
        yield "Its provisioned throughput is below 1. Give at least one read and one write capacity unit."


def _names(table: Table) -> Iterator[str]:
    rule = "Use 3 to 255 letters, digits, '_', '-' and '.'."
    if not limits.TABLE_NAME.fullmatch(table.name):
        yield f"DynamoDB does not allow the table name '{table.name}'. {rule}"
    for index in table.indexes:
        if not limits.TABLE_NAME.fullmatch(index.name):
            yield f"DynamoDB does not allow the index name '{index.name}'. {rule}"
        if sum(other.name == index.name for other in table.indexes) > 1:
            yield f"Two indexes are called {index.name}. Give each a name of its own."


def _keys(table: Table) -> Iterator[str]:
    types: dict[str, str] = {}
    for attribute in _key_attributes(table):
        size = len(attribute.name.encode())
        if not 0 < size <= limits.KEY_NAME_BYTES:
            yield f"Key attribute '{attribute.name}' has a name of {size} bytes. Use 1 to {limits.KEY_NAME_BYTES}."
        if types.setdefault(attribute.name, attribute.type) != attribute.type:
            yield f"Key attribute {attribute.name} is declared with two types. An attribute has one type in all keys."
        if attribute.name in {*limits.RESERVED_ATTRIBUTES, table.discriminator, table.envelope, table.ttl}:
            yield f"Key attribute {attribute.name} has a name that is reserved or used otherwise. Choose another name."
    own = [table.discriminator, table.envelope, table.ttl]
    for name in own:
        if name is not None and (name in limits.RESERVED_ATTRIBUTES or own.count(name) > 1):
            yield f"Attribute {name} is reserved or used twice. Choose another name."


def _key_attributes(table: Table) -> Iterator[KeyAttribute]:
    yield from table.key_attributes
    if len(table.key_attributes) == 2 and table.key_attributes[0].name == table.key_attributes[1].name:  # noqa: PLR2004 - a key has at most two
        yield table.key_attributes[0]
    for index in table.indexes:
        yield index.partition_key
        if index.sort_key is not None:
            yield index.sort_key
