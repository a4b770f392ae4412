"""An entity bound: every template parsed, every column's kind known, every selection made. What all paths work from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from migrator.mapping import condition as conditions
from migrator.mapping import kind as kinds
from migrator.mapping.entity import (
    NULL,
    TEXT,
    Attribute,
    Computed,
    Counted,
    Embedded,
    Entity,
    Expiry,
    Item,
    Member,
    Null,
)
from migrator.mapping.errors import MappingError
from migrator.mapping.kind import Form, Kind
from migrator.mapping.template import KeyTemplate
from migrator.mapping.types import kind_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.kind import RowValue
    from migrator.mapping.table import Index, KeyAttribute

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

    def value(self, row: dict[str, RowValue]) -> AttributeValue:
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
class BoundAttribute:
    """An attribute with its kind; `kind` is None for a computed one."""

    name: str
    columns: tuple[str, ...]
    kind: Kind | None
    computed: Computed | None
    null: Null
    encrypted: bool


@dataclass(frozen=True)
class BoundItem:
    """One item of a row."""

    number: int
    keys: tuple[Slot, ...]
    indexes: tuple[BoundIndex, ...]
    attributes: tuple[BoundAttribute, ...]
    data: tuple[BoundAttribute, ...]
    condition: conditions.Condition | None


@dataclass(frozen=True)
class Plan:
    """All of an entity. `kinds` has the kind of each column that is used."""

    entity: Entity
    kinds: dict[str, Kind]
    items: tuple[BoundItem, ...]
    projection: tuple[Projected, ...]
    ttl: Expiry | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns a row carries, without the pseudo columns."""
        return tuple(self.kinds)


class _Binder:
    """Binds one entity, remembering which columns it meets."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.used: dict[str, Kind] = {}
        members = (*entity.attributes, *entity.data)
        self.textual = {m.column.name for m in members if isinstance(m, Attribute) and m.form is TEXT}

    def kind(self, name: str) -> Kind:
        """The kind of a column, which from now on is selected."""
        column: sa.Column[Any] | None = self.entity.source.columns.get(name)
        if column is None:
            raise MappingError(
                f"{self.entity.name}: {self.entity.source_name} has no column {name}",
                next_step=f"It has: {', '.join(self.entity.source.columns.keys())}.",
            )
        if name not in self.used:
            try:
                self.used[name] = kinds.Printed() if name in self.textual else kind_of(column.type)
            except MappingError as error:
                message = f"{self.entity.name}: column {self.entity.source_name}.{name}: {error.what}"
                raise MappingError(message, next_step=error.next_step) from error
        return self.used[name]

    def column(self, column: sa.Column[Any], where: str) -> Kind:
        """The kind of a column given as such, which must be the source's own."""
        if column.table is not self.entity.source:
            raise MappingError(
                f"{self.entity.name}: {where} uses column {column}, which is not of {self.entity.source_name}",
                next_step=f"Use a column of {self.entity.source_name}.",
            )
        return self.kind(column.name)

    def attribute(self, member: Member) -> BoundAttribute:
        match member:
            case Attribute():
                return self._stored(member)
            case Computed():
                for column in member.columns:
                    self.column(column, f"attribute {member.name}")
                names = tuple(column.name for column in member.columns)
                return BoundAttribute(
                    member.name, names, None, member, member.null or self.entity.null, encrypted=False
                )
            case Embedded() | Counted():
                raise MappingError(
                    f"{self.entity.name}: attribute {member.name} is an aggregate, and aggregates are not built yet",
                    next_step="Leave it out of the mapping for now.",
                )

    def _stored(self, member: Attribute) -> BoundAttribute:
        if member.large is not None:
            raise MappingError(
                f"{self.entity.name}: attribute {member.name} is declared large={member.large.name}, which is not built yet",
                next_step="Leave `large` out; a row whose item exceeds 400 KB is set aside.",
            )
        kind = self.column(member.column, f"attribute {member.name}")
        null = member.null or self.entity.null
        try:
            kind = kind if member.form is TEXT else kind.formed(member.form)
        except MappingError as error:
            raise MappingError(f"{self.entity.name}: attribute {member.name}: {error.what}") from error
        if isinstance(kind, kinds.Json):
            kind = replace(kind, null_is_absent=null is not NULL or not member.column.nullable)
        return BoundAttribute(member.name, (member.column.name,), kind, None, null, member.encrypted)

    def slot(self, attribute: KeyAttribute, template: str) -> Slot:
        try:
            return Slot(attribute, KeyTemplate(template, self.kind))
        except MappingError as error:
            if error.what.startswith(f"{self.entity.name}: "):
                raise
            raise MappingError(f"{self.entity.name}: {error.what}", next_step=error.next_step) from error

    def item(self, number: int, item: Item) -> BoundItem:
        if item.shards is not None:
            raise MappingError(
                f"{self.entity.name}: item {number} is declared with shards, and write sharding is not built yet",
                next_step="Leave `shards` out of the item for now.",
            )
        table = self.entity.table
        templates = (item.partition_key, *(() if item.sort_key is None else (item.sort_key,)))
        self._same_length(f"item {number}", f"table {table.name}", len(templates), len(table.key_attributes))
        keys = tuple(self.slot(*pair) for pair in zip(table.key_attributes, templates, strict=True))
        indexes = tuple(self._index(number, name, parts) for name, parts in item.indexes.items())
        condition = None if item.when is None else conditions.read(item.when)
        for name in () if condition is None else conditions.columns(condition):
            self.kind(name)
        return BoundItem(
            number,
            keys,
            indexes,
            tuple(self.attribute(member) for member in self.entity.attributes if item.attributes.holds(member.name)),
            tuple(self.attribute(member) for member in self.entity.data if item.data.holds(member.name)),
            condition,
        )

    def _index(self, number: int, name: str, templates: tuple[str, ...]) -> BoundIndex:
        index = self.entity.table.index(name)
        if index is None:
            raise MappingError(
                f"{self.entity.name}: item {number} names index {name}, which table {self.entity.table.name} does not have",
                next_step=f"It has: {', '.join(index.name for index in self.entity.table.indexes) or 'none'}.",
            )
        attributes = tuple(key for key in (index.partition_key, index.sort_key) if key is not None)
        self._same_length(f"item {number}", f"index {name}", len(templates), len(attributes))
        slots = tuple(self.slot(*pair) for pair in zip(attributes, templates, strict=True))
        used = dict.fromkeys(column for slot in slots for column in slot.template.columns)
        nullable = tuple(column for column in used if self.entity.source.columns[column].nullable)
        return BoundIndex(index, slots, nullable)

    def _same_length(self, item: str, where: str, given: int, wanted: int) -> None:
        if given != wanted:
            raise MappingError(
                f"{self.entity.name}: {item} gives {given} key templates for {where}, whose key has {wanted} attributes",
                next_step="Give one template for each key attribute.",
            )


def bind(entity: Entity) -> Plan:
    """Binds a declaration.

    Raises:
        MappingError: a part of it names what does not exist, or asks for what does not fit or is not built yet.
    """
    binder = _Binder(entity)
    for name in entity.key_columns:
        binder.kind(name)
    items = tuple(binder.item(number, item) for number, item in enumerate(entity.items))
    if entity.ttl is not None:
        binder.column(entity.ttl.column, "ttl")
    return Plan(entity, binder.used, items, tuple(_projection(binder.used)), entity.ttl)


def _projection(used: dict[str, Kind]) -> Iterator[Projected]:
    for name, kind in used.items():
        yield Projected(name, name, kind.array_select if isinstance(kind, kinds.Array) else kind.select)
        if isinstance(kind, kinds.Array):
            yield Projected(name + BOUNDS, name, "array_dims({})")


def non_null(entity: Entity, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns that PostgreSQL declares NOT NULL."""
    return tuple(name for name in names if not entity.source.columns[name].nullable)


__all__ = [
    "BOUNDS",
    "BoundAttribute",
    "BoundIndex",
    "BoundItem",
    "Form",
    "Plan",
    "Projected",
    "Slot",
    "bind",
    "non_null",
]
