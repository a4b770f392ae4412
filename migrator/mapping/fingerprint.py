"""A stable hash of a mapping. Work recorded under one fingerprint is never resumed under another."""

from __future__ import annotations

import hashlib
import inspect
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import postgresql

if TYPE_CHECKING:
    from migrator.mapping.entity import Entity
    from migrator.mapping.plan import BoundAttribute, BoundItem, Slot


def digest(value: object) -> str:
    """32 hexadecimal digits over a plain value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def entity_fingerprint(entity: Entity) -> str:
    """The hash of one entity: its source as declared, its table's keys, and every rule that makes its items."""
    table = entity.table
    plan = entity.plan
    dialect = postgresql.dialect()
    return digest(
        {
            "entity": entity.name,
            "source": entity.source_name,
            "columns": [
                [column.name, column.type.compile(dialect=dialect), column.nullable, column.primary_key]
                for column in entity.source.columns
                if column.name in plan.kinds
            ],
            "table": [table.name, *map(repr, table.key_attributes), table.ttl, table.discriminator, table.envelope],
            "indexes": [[index.name, repr(index.partition_key), repr(index.sort_key)] for index in table.indexes],
            "items": [_item(item) for item in plan.items],
            "ttl": None if plan.ttl is None else [plan.ttl.column.name, plan.ttl.after.total_seconds()],
            "dropped": sorted(column.name for column in entity.dropped),
        }
    )


def _item(item: BoundItem) -> dict[str, Any]:
    return {
        "keys": _slots(item.keys),
        "indexes": [[index.index.name, _slots(index.slots), index.nullable] for index in item.indexes],
        "attributes": [_attribute(attribute) for attribute in item.attributes],
        "data": [_attribute(attribute) for attribute in item.data],
        "condition": repr(item.condition),
    }


def _slots(slots: tuple[Slot, ...]) -> list[list[str]]:
    return [[slot.attribute.name, slot.attribute.type, slot.template.text] for slot in slots]


def _attribute(attribute: BoundAttribute) -> list[Any]:
    computed = attribute.computed
    functions = [] if computed is None else [computed.forward, computed.inverse]
    sources = [inspect.getsource(function) for function in functions if function is not None]
    return [attribute.name, attribute.columns, repr(attribute.kind), attribute.null.value, attribute.encrypted, sources]
