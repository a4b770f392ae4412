"""Which columns of a source decide what items its rows have: what capture has to note of a row that changes."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.mapping.model import Model


def captured_columns(model: Model, source: str) -> tuple[str, ...]:
    """The primary key of a source table (by its `source_name`), then every column in a key of any item of its rows.

    Keys of indexes are none of them: they change within an item. Empty where the model does not map the table.

    Raises:
        MappingError: a declaration cannot be bound.
    """
    entities = [entity for entity in model.entities if entity.source_name == source]
    keys = (entity.key_columns for entity in entities)
    used = (slot.template.columns for entity in entities for item in entity.plan.items for slot in item.keys)
    return tuple(dict.fromkeys(chain.from_iterable(chain(keys, used))))
