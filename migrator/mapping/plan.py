"""An entity bound: every template parsed, every column's kind known, every selection made. What all paths work from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from migrator.mapping import kind as kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping.condition import Condition
    from migrator.mapping.document import AttributeValue
    from migrator.mapping.entity import Computed, Entity, Expiry, Null
    from migrator.mapping.kind import Kind, RowValue
    from migrator.mapping.table import Index, KeyAttribute
    from migrator.mapping.template import KeyTemplate

BOUNDS: Final = ":bounds"
"""The suffix of the pseudo column that carries an array's bounds, which its elements do not show."""


@dataclass(frozen=True)
class Projected:
    """One expression of the select list: `expression` with `{}` for the quoted column."""

    name: str
    column: str
    expression: str


@dataclass(frozen=True)
class Slot:
    """A key attribute and the template that fills it."""

    attribute: KeyAttribute
    template: KeyTemplate

    @property
    def kind(self) -> Kind | None:
        """The kind of its sole field, where the attribute's type is Number or Binary; None for a String."""
        field = self.template.sole
        return field.kind if self.attribute.type != "S" and field is not None else None

    def value(self, row: Mapping[str, RowValue]) -> AttributeValue:
        """The attribute's value for a row whose columns here are not NULL."""
        field = self.template.sole
        if self.attribute.type == "S" or field is None:
            return {"S": self.template.render(row)}
        return field.kind.to_attribute(row[field.column], 0)

    def parse(self, value: AttributeValue) -> dict[str, RowValue] | None:
        """The columns' values from the attribute's, or None where it is not of this template."""
        if set(value) != {self.attribute.type}:
            return None
        field = self.template.sole
        if self.attribute.type == "S" or field is None:
            return self.template.parse(value["S"])
        return {field.column: kinds.read(field.kind, value)}


@dataclass(frozen=True)
class BoundIndex:
    """An index's keys on an item. They are there where no column in `nullable` is NULL."""

    index: Index
    slots: tuple[Slot, ...]
    nullable: tuple[str, ...]


@dataclass(frozen=True)
class StoredAttribute:
    """A column's value under a name."""

    name: str
    column: str
    kind: Kind
    null: Null
    nullable: bool
    encrypted: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is made from."""
        return (self.column,)


@dataclass(frozen=True)
class ComputedAttribute:
    """What a function makes of some columns."""

    name: str
    columns: tuple[str, ...]
    computed: Computed
    null: Null


BoundAttribute: TypeAlias = StoredAttribute | ComputedAttribute


@dataclass(frozen=True)
class BoundItem:
    """One item of a row."""

    number: int
    keys: tuple[Slot, ...]
    indexes: tuple[BoundIndex, ...]
    attributes: tuple[BoundAttribute, ...]
    data: tuple[BoundAttribute, ...]
    condition: Condition | None

    @cached_property
    def prefixes(self) -> tuple[tuple[str, str], ...]:
        """The key attributes of type String that begin with literal text, with that text."""
        texts = ((slot.attribute.name, slot.template.prefix) for slot in self.keys if slot.attribute.type == "S")
        return tuple((name, prefix) for name, prefix in texts if prefix)


@dataclass(frozen=True)
class Plan:
    """All of an entity.

    `kinds` has the kind of each column that is used, `nullable` those of them that may be NULL, and `compared` the
    kinds by which two values of a column are the same to this mapping (a Set has no order).
    """

    entity: Entity
    kinds: dict[str, Kind]
    compared: dict[str, Kind]
    nullable: frozenset[str]
    items: tuple[BoundItem, ...]
    projection: tuple[Projected, ...]
    ttl: Expiry | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a row carries, without the pseudo columns."""
        return tuple(self.kinds)
