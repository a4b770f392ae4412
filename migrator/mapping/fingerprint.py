"""A stable hash of a mapping. Work recorded under one fingerprint is never resumed under another."""

from __future__ import annotations

import hashlib
import inspect
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql

from migrator.mapping.errors import MappingError
from migrator.mapping.plan import ComputedAttribute

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.mapping.entity import Entity
    from migrator.mapping.plan import BoundAttribute, BoundItem, Slot


def digest(value: object) -> str:
    """32 hexadecimal digits over a plain value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def entity_fingerprint(entity: Entity) -> str:
    """The hash of one entity: its source as declared, its table's keys, and every rule that makes its items.

    Raises:
        MappingError: the entity cannot be bound, or the source text of a computed attribute's function cannot be read.
    """
    table = entity.table
    plan = entity.plan
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return digest(
        {
            "entity": entity.name,
            "source": entity.source_name,
            "key": entity.key_columns,
            "columns": {
                name: [repr(kind), entity.source.columns[name].type.compile(dialect=dialect), name in plan.nullable]
                for name, kind in plan.kinds.items()
            },
            "table": [table.name, *map(repr, table.key_attributes), table.ttl, table.discriminator, table.envelope],
            **({"foreign": sorted(table.foreign)} if table.foreign else {}),
            "indexes": {index.name: [*map(repr, index.key_attributes)] for index in table.indexes},
            "items": [_item(item) for item in plan.items],
            "ttl": None if plan.ttl is None else [plan.ttl.column.name, plan.ttl.after.total_seconds()],
            "dropped": sorted(column.name for column in entity.dropped),
        }
    )


def _item(item: BoundItem) -> dict[str, Any]:
    return {
        "keys": _slots(item.keys),
        "indexes": {index.index.name: _slots(index.slots) for index in item.indexes},
        "attributes": {attribute.name: _attribute(attribute) for attribute in item.attributes},
        "data": {attribute.name: _attribute(attribute) for attribute in item.data},
        "condition": repr(item.condition),
    }


def _slots(slots: tuple[Slot, ...]) -> list[list[str]]:
    return [[slot.attribute.name, slot.attribute.type, slot.template.text] for slot in slots]


def _attribute(attribute: BoundAttribute) -> list[Any]:
    if not isinstance(attribute, ComputedAttribute):
        return [attribute.column, repr(attribute.kind), attribute.null.value, attribute.encrypted]
    computed = attribute.computed
    return [
        attribute.columns,
        attribute.null.value,
        function_source(attribute.name, computed.forward),
        None if computed.inverse is None else function_source(attribute.name, computed.inverse),
    ]


def function_source(attribute: str, function: Callable[..., Any]) -> str:
    """The source text of a computed attribute's function.

    Raises:
        MappingError: it cannot be read.
    """
    try:
        return inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise MappingError(
            f"the source text of a function of computed attribute {attribute} cannot be read, and the mapping's "
            "fingerprint needs it",
            next_step="Define the function in a module, with def or lambda.",
        ) from error
