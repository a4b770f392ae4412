"""Problems of a table's declaration: DynamoDB's rules on names, key attributes and numbers of indexes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from migrator.mapping import limits
from migrator.mapping.document import SURROGATE
from migrator.mapping.table import Provisioned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.mapping.table import Table


def table_problems(table: Table) -> Iterator[str]:
    """Sentences on what is wrong with a table."""
    yield from _names(table)
    yield from _keys(table)
    yield from _own_attributes(table)
    if table.foreign and table.partition_key.type != "S":
        yield (
            f"Items of others are told by what their partition keys begin with, and {table.partition_key.name} is of "
            f"type {table.partition_key.type}. Leave `foreign` out."
        )
    if "" in table.foreign:
        yield "An empty prefix in `foreign` would make every item one of others. Write what their keys begin with."
    if len(table.indexes) > limits.MAX_INDEXES:
        yield f"It has {len(table.indexes)} indexes, DynamoDB allows {limits.MAX_INDEXES} by default. Remove some."
    for index in table.indexes:
        named = index.projection if isinstance(index.projection, tuple) else ()
        if len(named) > limits.MAX_PROJECTED:
            yield (
                f"Index {index.name} projects {len(named)} attributes by name, DynamoDB allows {limits.MAX_PROJECTED}. "
                'Name fewer, or project "ALL".'
            )
    if isinstance(table.billing, Provisioned) and min(table.billing.read, table.billing.write) < 1:
        yield "Its provisioned throughput is below 1. Give at least one read and one write capacity unit."


def _names(table: Table) -> Iterator[str]:
    rule = "Use 3 to 255 letters, digits, '_', '-' and '.'."
    if not limits.TABLE_NAME.fullmatch(table.name):
        yield f"DynamoDB does not allow the table name '{table.name}'. {rule}"
    for name, count in Counter(index.name for index in table.indexes).items():
        if not limits.TABLE_NAME.fullmatch(name):
            yield f"DynamoDB does not allow the index name '{name}'. {rule}"
        if count > 1:
            yield f"{count} indexes are called {name}. Give each a name of its own."


def _keys(table: Table) -> Iterator[str]:
    own = {table.discriminator, table.envelope, table.ttl}
    types: dict[str, set[str]] = {}
    keys = [("Its key", table.key_attributes)]
    keys += [(f"Index {index.name}", index.key_attributes) for index in table.indexes]
    for whose, attributes in keys:
        if len({attribute.name for attribute in attributes}) < len(attributes):
            yield f"{whose} names {attributes[0].name} as partition key and as sort key. Name two attributes."
        for attribute in attributes:
            types.setdefault(attribute.name, set()).add(attribute.type)
    for name, kinds in types.items():
        if not 0 < _size(name) <= limits.KEY_NAME_BYTES:
            yield f"Key attribute '{name}' has a name of {_size(name)} bytes. Use 1 to {limits.KEY_NAME_BYTES}."
        if len(kinds) > 1:
            yield (
                f"Key attribute {name} is declared with the types {' and '.join(sorted(kinds))}. "
                "Declare it with one type: an attribute has the same in all keys."
            )
        if name in {*limits.RESERVED_ATTRIBUTES, *own}:
            yield f"Key attribute {name} has a name that is reserved or used otherwise. Choose another name."


def _own_attributes(table: Table) -> Iterator[str]:
    own = [name for name in (table.discriminator, table.envelope, table.ttl) if name is not None]
    for name, count in Counter(own).items():
        if name in limits.RESERVED_ATTRIBUTES or count > 1:
            yield f"Attribute {name} is reserved or used twice. Choose another name."
        if not 0 < _size(name) <= limits.KEY_NAME_BYTES:
            yield f"Attribute '{name}' has a name of {_size(name)} bytes. Use 1 to {limits.KEY_NAME_BYTES}."
    for name in {*own, *(key.name for key in table.all_key_attributes)}:
        if SURROGATE.search(name):
            yield f"The name {name!a} holds half of a surrogate pair, which is no Unicode character. Correct it."


def _size(name: str) -> int:
    return len(name.encode(errors="surrogatepass"))
