"""Binds a declaration to its source: what it names must exist, and what it asks for must fit and be built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from migrator.mapping import condition as conditions
from migrator.mapping.array import Array, Set
from migrator.mapping.document import SURROGATE
from migrator.mapping.entity import NULL, TEXT, Attribute, Computed, Counted, Embedded
from migrator.mapping.errors import MappingError
from migrator.mapping.kind import Json, Kind, Printed
from migrator.mapping.plan import (
    BOUNDS,
    BoundAttribute,
    BoundIndex,
    BoundItem,
    ComputedAttribute,
    Plan,
    Projected,
    Slot,
    StoredAttribute,
)
from migrator.mapping.template import KeyTemplate
from migrator.mapping.types import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.mapping.entity import Column, Entity, Item, Member, Selection
    from migrator.mapping.table import KeyAttribute


def bind(entity: Entity) -> Plan:
    """Binds a declaration.

    Raises:
        MappingError: a part of it names what does not exist, or asks for what does not fit or is not built yet.
    """
    try:
        return _Binder(entity).plan()
    except MappingError as error:
        raise MappingError(f"{entity.name}: {error.what}", next_step=error.next_step) from error


class _Binder:
    """Binds one entity, remembering which columns it meets."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.used: dict[str, Kind] = {}
        members = (*entity.attributes, *entity.data)
        self.textual = {m.column.name for m in members if isinstance(m, Attribute) and m.form is TEXT}

    def plan(self) -> Plan:
        entity = self.entity
        for name in entity.key_columns:
            self.kind(name)
        attributes = tuple(map(self.attribute, entity.attributes))
        data = tuple(map(self.attribute, entity.data))
        items = tuple(self.item(number, item, attributes, data) for number, item in enumerate(entity.items))
        if entity.ttl is not None:
            self.column(entity.ttl.column, "the ttl")
        for column in (*entity.dropped, *(column for columns in entity.unique for column in columns)):
            self.check_own(column, "`dropped` or `unique`")
        self._check_names()
        return Plan(
            entity,
            self.used,
            {**self.used, **_sets((*attributes, *data))},
            frozenset(name for name in self.used if entity.source.columns[name].nullable),
            items,
            tuple(_projection(self.used)),
            entity.ttl,
        )

    def _check_names(self) -> None:
        entity = self.entity
        templates = [(item.partition_key, item.sort_key or "", *_templates(item)) for item in entity.items]
        members = [member.name for member in (*entity.attributes, *entity.data)]
        for name in (entity.name, *members, *(template for each in templates for template in each)):
            if SURROGATE.search(name):
                raise MappingError(
                    f"the name {name!a} holds half of a surrogate pair, which is no Unicode character",
                    next_step="Write the whole character.",
                )

    def kind(self, name: str) -> Kind:
        """The kind of a column, which from now on is selected."""
        column: Column | None = self.entity.source.columns.get(name)
        if column is None:
            raise MappingError(
                f"{self.entity.source_name} has no column {name}",
                next_step=f"It has: {', '.join(self.entity.source.columns.keys())}.",
            )
        if name not in self.used:
            self.used[name] = self._column_kind(column)
        return self.used[name]

    def _column_kind(self, column: Column) -> Kind:
        """Where the row has no text of its own for form=TEXT, the column is selected as text, for all its uses."""
        textual = column.name in self.textual
        try:
            kind = kind_of(column.type)
        except MappingError as error:
            if textual:
                return Printed()
            where = f"column {self.entity.source_name}.{column.name}"
            raise MappingError(f"{where}: {error.what}", next_step=error.next_step) from error
        return Printed() if textual and not kind.printed else kind

    def check_own(self, column: Column, where: str) -> None:
        """Refuses a column of another table."""
        if column.table is not self.entity.source:
            raise MappingError(
                f"{where} uses column {column}, which is not of {self.entity.source_name}",
                next_step=f"Use a column of {self.entity.source_name}.",
            )

    def column(self, column: Column, where: str) -> Kind:
        """The kind of a column given as such, which must be the source's own."""
        self.check_own(column, where)
        return self.kind(column.name)

    def attribute(self, member: Member) -> BoundAttribute:
        match member:
            case Attribute():
                return self._stored(member)
            case Computed():
                for column in member.columns:
                    self.column(column, f"attribute {member.name}")
                names = tuple(column.name for column in member.columns)
                return ComputedAttribute(member.name, names, member, member.null or self.entity.null)
            case Embedded() | Counted():
                raise MappingError(
                    f"attribute {member.name} is an aggregate, and aggregates are not built yet",
                    next_step="Leave it out of the mapping for now.",
                )

    def _stored(self, member: Attribute) -> StoredAttribute:
        if member.large is not None:
            raise MappingError(
                f"attribute {member.name} is declared large={member.large.name}, which is not built yet",
                next_step="Leave `large` out; a row whose item exceeds 400 KB is set aside.",
            )
        column = member.column
        kind = self.column(column, f"attribute {member.name}")
        null = member.null or self.entity.null
        if isinstance(kind, Printed) and member.form is not TEXT and kind != kind_of(column.type):
            raise MappingError(
                f"attribute {member.name} stores column {column.name} in another form than form=TEXT, which another "
                "attribute gives it",
                next_step="Give both attributes the same form.",
            )
        try:
            kind = kind.formed(member.form)
        except MappingError as error:
            raise MappingError(f"attribute {member.name}: {error.what}", next_step=error.next_step) from error
        nullable = bool(column.nullable)
        if isinstance(kind, Json):
            kind = replace(kind, null_is_absent=null is not NULL or not nullable)
        return StoredAttribute(member.name, column.name, kind, null, nullable, member.encrypted)

    def item(
        self, number: int, item: Item, attributes: tuple[BoundAttribute, ...], data: tuple[BoundAttribute, ...]
    ) -> BoundItem:
        if item.shards is not None:
            raise MappingError(
                f"item {number} is declared with shards, and write sharding is not built yet",
                next_step="Leave `shards` out of the item for now.",
            )
        table = self.entity.table
        templates = (item.partition_key, *(() if item.sort_key is None else (item.sort_key,)))
        keys = self._slots(f"item {number}", f"table {table.name}", table.key_attributes, templates)
        indexes = tuple(self._index(number, name, parts) for name, parts in item.indexes.items())
        self._check_shared(number, [*keys, *(slot for index in indexes for slot in index.slots)])
        condition = None
        if item.when is not None:
            where = f"the condition of item {number}"
            condition = conditions.read(item.when, lambda column: self.column(column, where))
        return BoundItem(
            number, keys, indexes, _selected(attributes, item.attributes), _selected(data, item.data), condition
        )

    def _slots(
        self, item: str, where: str, attributes: Sequence[KeyAttribute], templates: Sequence[str]
    ) -> tuple[Slot, ...]:
        if len(templates) != len(attributes):
            raise MappingError(
                f"{item} gives {len(templates)} key templates for {where}, whose key has {len(attributes)} attributes",
                next_step="Give one template for each key attribute.",
            )
        pairs = zip(attributes, templates, strict=True)
        return tuple(Slot(attribute, KeyTemplate(template, self.kind)) for attribute, template in pairs)

    def _index(self, number: int, name: str, templates: tuple[str, ...]) -> BoundIndex:
        index = self.entity.table.index(name)
        if index is None:
            raise MappingError(
                f"item {number} names index {name}, which table {self.entity.table.name} does not have",
                next_step=f"It has: {', '.join(index.name for index in self.entity.table.indexes) or 'none'}.",
            )
        slots = self._slots(f"item {number}", f"index {name}", index.key_attributes, templates)
        used = dict.fromkeys(column for slot in slots for column in slot.template.columns)
        return BoundIndex(index, slots, tuple(name for name in used if self.entity.source.columns[name].nullable))

    def _check_shared(self, number: int, slots: list[Slot]) -> None:
        """An attribute may be part of several keys, with one value."""
        templates: dict[str, str] = {}
        for slot in slots:
            known = templates.setdefault(slot.attribute.name, slot.template.text)
            if known != slot.template.text:
                raise MappingError(
                    f"item {number} gives key attribute {slot.attribute.name} two templates, "
                    f"'{known}' and '{slot.template.text}'",
                    next_step="Give it the same template in every key that it is part of.",
                )


def _templates(item: Item) -> Iterator[str]:
    for templates in item.indexes.values():
        yield from templates


def _sets(attributes: tuple[BoundAttribute, ...]) -> dict[str, Kind]:
    """The columns that are stored as a Set and in no other form, in which their order is not kept."""
    forms: dict[str, set[Kind]] = {}
    for attribute in attributes:
        if isinstance(attribute, StoredAttribute):
            forms.setdefault(attribute.column, set()).add(attribute.kind)
    return {column: next(iter(kinds)) for column, kinds in forms.items() if all(isinstance(k, Set) for k in kinds)}


def _selected(attributes: tuple[BoundAttribute, ...], selection: Selection) -> tuple[BoundAttribute, ...]:
    return tuple(attribute for attribute in attributes if selection.holds(attribute.name))


def _projection(used: dict[str, Kind]) -> Iterator[Projected]:
    for name, kind in used.items():
        yield Projected(name, name, kind.array_select if isinstance(kind, Array) else kind.select)
        if isinstance(kind, Array):
            yield Projected(name + BOUNDS, name, "array_dims({})")
