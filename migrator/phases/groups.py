"""Which entities move together: those whose rows refer to each other, or become parts of the same items."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import UsageError
from migrator.mapping import Counted, Embedded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import sqlalchemy as sa

    from migrator.mapping import Entity, Model


def groups(model: Model) -> list[tuple[Entity, ...]]:
    """Return the model's entities in groups, each in the model's order, by foreign keys, aggregates and source tables.

    Foreign keys are those that the mapping's tables declare. Marks name rows, so entities of one source table are one
    group too.
    """
    group_of = {entity.name: [entity.name] for entity in model.entities}
    for entity in model.entities:
        for other in _neighbours(model, entity):
            mine, theirs = group_of[entity.name], group_of[other.name]
            if mine is not theirs:
                mine += theirs
                group_of |= dict.fromkeys(theirs, mine)
    found = {id(names): names for names in group_of.values()}
    return [tuple(entity for entity in model.entities if entity.name in names) for names in found.values()]


def members(model: Model, names: Sequence[str]) -> tuple[Entity, ...]:
    """Return the entities of the groups that the named ones are in; without names, all.

    Raises:
        UsageError: a name is no entity of the model.
    """
    unknown = [name for name in names if model.entity(name) is None]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)}: no entity of model {model.name}",
            safe="Nothing was moved.",
            next_step=f"Its entities are {', '.join(entity.name for entity in model.entities)}.",
        )
    chosen = {each.name for group in groups(model) for each in group if any(one.name in names for one in group)}
    return tuple(entity for entity in model.entities if not names or entity.name in chosen)


def _neighbours(model: Model, entity: Entity) -> Iterator[Entity]:
    tables = {_name(entity.source), *(key.target_fullname.rpartition(".")[0] for key in entity.source.foreign_keys)}
    tables |= {
        _name(member.source) for member in (*entity.attributes, *entity.data) if isinstance(member, Embedded | Counted)
    }
    yield from (other for other in model.entities if _name(other.source) in tables)


def _name(table: sa.Table) -> str:
    return table.fullname
