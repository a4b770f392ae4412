"""A model: the entities that move together, their tables and their access patterns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from migrator.mapping.fingerprint import digest, entity_fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.pattern import Pattern
    from migrator.mapping.table import Table


@dataclass(frozen=True, eq=False)
class Model:
    """What a mapping package exports as `MODEL`.

    Attributes:
        name: the model's name; checkpoints and locks carry it.
        entities: its entities, parents before children.
        patterns: the questions that the application asks of the tables.
    """

    name: str
    entities: Sequence[Entity]
    patterns: Sequence[Pattern] = ()

    @property
    def tables(self) -> tuple[Table, ...]:
        """The target tables, each once."""
        return tuple({entity.table.name: entity.table for entity in self.entities}.values())

    @cached_property
    def fingerprint(self) -> str:
        """A stable hash over all that decides which items rows become."""
        return digest([entity_fingerprint(entity) for entity in self.entities])

    def entity(self, name: str) -> Entity | None:
        """The entity of this name."""
        return next((entity for entity in self.entities if entity.name == name), None)

    def for_source(self, source: str) -> Entity | None:
        """The entity whose source table has this name, with or without its schema."""
        return next((entity for entity in self.entities if source in {entity.source_name, entity.source.name}), None)

    def of_table(self, table: Table) -> tuple[Entity, ...]:
        """The entities whose items stand in this table."""
        return tuple(entity for entity in self.entities if entity.table.name == table.name)
