"""Problems of access patterns: that read what is not there, or find what they do not ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.mapping.errors import MappingError
from migrator.mapping.overlap import can_begin, can_meet
from migrator.mapping.pattern import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.pattern import Pattern
    from migrator.mapping.plan import BoundItem, Slot


def pattern_problems(pattern: Pattern, entities: Sequence[Entity]) -> Iterator[str]:
    """Sentences on what is wrong with an access pattern; `entities` are those that could be bound."""
    try:
        _ = pattern.parameters
    except MappingError as error:
        yield error.sentence
        return
    if isinstance(pattern, Query):
        for entity in entities:
            for item in entity.plan.items if entity.table == pattern.entity.table else ():
                own = entity is pattern.entity and item.number == pattern.item
                if not own and _finds(pattern, item):
                    yield (
                        f"Its Query can also find {entity.name}'s item {item.number}. Begin its sort key "
                        "with a literal that the other's cannot begin with, or give the other a partition of its own."
                    )


def _finds(pattern: Query, item: BoundItem) -> bool:
    """Whether an item of another kind can be in the partition, with a sort key that the pattern asks for."""
    slots = [slot for key in (item.keys, *(index.slots for index in item.indexes)) for slot in key]
    known = {slot.attribute.name: slot for slot in slots}
    found = [known.get(slot.attribute.name) for slot in pattern.slots]
    if None in found:
        return False
    pairs = [(asked, other) for asked, other in zip(pattern.slots, found, strict=True) if other is not None]
    return _can_share(*pairs[0]) and all(can_begin(other.template, asked.template.prefix) for asked, other in pairs[1:])


def _can_share(asked: Slot, other: Slot) -> bool:
    return asked.attribute.type != "S" or can_meet(asked.template, other.template)
