"""Access patterns: the application's questions, to DynamoDB by key and to PostgreSQL by SQL, from one declaration.

A pattern names the entity, the item and the index it reads; its parameters are the columns of the key templates there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from migrator.errors import UsageError
from migrator.mapping import kind as kinds
from migrator.mapping.errors import MappingError, Unfit
from migrator.mapping.forward import key_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.types import TypeEngine

    from migrator.mapping.document import AttributeValue
    from migrator.mapping.entity import Entity
    from migrator.mapping.field import Field
    from migrator.mapping.forward import Row
    from migrator.mapping.plan import BoundIndex, BoundItem, Slot

_UNITS: Final = {"seconds": "second", "millis": "milliseconds"}

Request: TypeAlias = dict[str, Any]
"""The parameters of a DynamoDB operation, values typed as on the wire; boto3's client takes it as it is."""


@dataclass(frozen=True, eq=False)
class Get:
    """One item by its whole key."""

    id: str
    question: str
    entity: Entity
    item: int = 0

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The columns whose values it takes."""
        return _columns(_item(self).keys)

    def request(self, **parameters: object) -> Request:
        """The GetItem request for these values."""
        return self.request_for(row_asked(self, parameters))

    def request_for(self, row: Row) -> Request:
        """The GetItem request for the values that a row has."""
        key = {slot.attribute.name: _value(self, slot, row) for slot in _item(self).keys}
        return {"TableName": self.entity.table.name, "Key": key}

    def statement(self, **parameters: object) -> sa.Select[Any]:
        """The same question to the source."""
        return self.statement_for(row_asked(self, parameters))

    def statement_for(self, row: Row) -> sa.Select[Any]:
        """The same question to the source, for the values that a row has."""
        return sa.select(self.entity.source).where(*_equal(self.entity, self.parameters, row), *_when(self))


@dataclass(frozen=True, eq=False)
class Query:
    """The items of one partition, in the order of their sort key, whose sort key begins as this entity's does."""

    id: str
    question: str
    entity: Entity
    item: int = 0
    index: str | None = None
    descending: bool = False

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The key it asks by: the item's own, or the index's."""
        item = _item(self)
        return item.keys if self.index is None else _index(self, item).slots

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The columns whose values it takes."""
        return self.slots[0].template.columns

    def request(
        self, *, limit: int | None = None, start_key: Mapping[str, AttributeValue] | None = None, **parameters: object
    ) -> Request:
        """The Query request for these values, one page of at most `limit` items after `start_key`."""
        return self.request_for(row_asked(self, parameters), limit=limit, start_key=start_key)

    def request_for(
        self, row: Row, *, limit: int | None = None, start_key: Mapping[str, AttributeValue] | None = None
    ) -> Request:
        """The same request, for the values that a row has."""
        partition, *sort = self.slots
        request: Request = {
            "TableName": self.entity.table.name,
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": partition.attribute.name},
            "ExpressionAttributeValues": {":p": _value(self, partition, row)},
            "ScanIndexForward": not self.descending,
        }
        if sort and sort[0].template.prefix:
            request["KeyConditionExpression"] += " AND begins_with(#s, :s)"
            request["ExpressionAttributeNames"]["#s"] = sort[0].attribute.name
            request["ExpressionAttributeValues"][":s"] = {"S": sort[0].template.prefix}
        if self.index is not None:
            request["IndexName"] = self.index
        if limit is not None:
            request["Limit"] = limit
        if start_key is not None:
            request["ExclusiveStartKey"] = dict(start_key)
        return request

    def statement(self, **parameters: object) -> sa.Select[Any]:
        """The same question to the source, in the same order: by the sort key's text, and so at its precision.

        Rows with the same key of an index are in no order, there as here.
        """
        return self.statement_for(row_asked(self, parameters))

    def statement_for(self, row: Row) -> sa.Select[Any]:
        """The same statement, for the values that a row has."""
        source = self.entity.source
        conditions = [*_equal(self.entity, self.parameters, row), *_when(self)]
        if self.index is not None:
            conditions += [source.columns[name].is_not(None) for name in _index(self, _item(self)).nullable]
        order = [_key_order(self.entity, slot, field) for slot in self.slots[1:] for field in slot.template.fields]
        return sa.select(source).where(*conditions).order_by(*(c.desc() if self.descending else c.asc() for c in order))


Pattern: TypeAlias = Get | Query


def living(entity: Entity, now: int) -> list[sa.ColumnElement[bool]]:
    """The condition under which the source's rows are not past their TTL at `now`, in Unix seconds; none without TTL.

    A Query leaves out what is past its TTL, whether or not DynamoDB has deleted it by then.
    """
    if entity.ttl is None:
        return []
    column = entity.source.columns[entity.ttl.column.name]
    if isinstance(entity.plan.kinds[column.name], kinds.Integer):
        seconds: sa.ColumnElement[Any] = sa.cast(column, sa.Numeric)
    else:
        seconds = sa.func.floor(sa.extract("epoch", column))
    return [sa.or_(column.is_(None), seconds > now - entity.ttl.after // timedelta(seconds=1))]


def _item(pattern: Pattern) -> BoundItem:
    items = pattern.entity.plan.items
    if not 0 <= pattern.item < len(items):
        raise MappingError(
            f"access pattern {pattern.id} reads item {pattern.item} of {pattern.entity.name}, which has {len(items)}",
            next_step="Name one of the entity's items, counted from 0.",
        )
    return items[pattern.item]


def _index(pattern: Query, item: BoundItem) -> BoundIndex:
    found = next((index for index in item.indexes if index.index.name == pattern.index), None)
    if found is None:
        raise MappingError(
            f"access pattern {pattern.id} reads index {pattern.index}, which item {pattern.item} of "
            f"{pattern.entity.name} is not in",
            next_step="Give the item the index's keys, or read another item.",
        )
    return found


def _columns(slots: tuple[Slot, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for slot in slots for column in slot.template.columns))


def _when(pattern: Pattern) -> list[sa.ColumnElement[bool]]:
    """The condition under which a row has the item."""
    declared = pattern.entity.items[pattern.item].when
    return [] if declared is None else [declared]


def row_asked(pattern: Pattern, parameters: Mapping[str, object]) -> dict[str, Any]:
    """The parameters of a question as a row carries them.

    Raises:
        UsageError: one is missing or unknown, or is no value of its column.
    """
    if parameters.keys() != set(pattern.parameters):
        wanted, given = ", ".join(sorted(pattern.parameters)), ", ".join(sorted(parameters)) or "nothing"
        raise UsageError(f"access pattern {pattern.id} takes {wanted}; given: {given}")
    of, row = pattern.entity.plan.kinds, {}
    for name, value in parameters.items():
        try:
            row[name] = of[name].from_user(_json_value(value))
        except Unfit as unfit:
            raise UsageError(f"access pattern {pattern.id}, parameter {name}: {unfit.reason}") from unfit
    return row


def _json_value(value: object) -> object:
    """A Python value as plain JSON would state it."""
    match value:
        case str():
            return value
        case UUID():
            return str(value)
        case date():
            return value.isoformat()
        case bytes():
            return key_text(value)
    return value


def _value(pattern: Pattern, slot: Slot, row: dict[str, Any]) -> AttributeValue:
    try:
        return slot.value(row)
    except Unfit as unfit:
        raise UsageError(f"access pattern {pattern.id}, {slot.attribute.name}: {unfit.reason}") from unfit


def _equal(entity: Entity, names: tuple[str, ...], row: dict[str, Any]) -> list[sa.ColumnElement[bool]]:
    """`column = value`, the value given as text and cast by PostgreSQL to the column's own type."""
    columns = entity.source.columns
    return [columns[name] == sa.cast(sa.literal(key_text(row[name]), sa.Text), _cast(columns[name])) for name in names]


def _cast(column: sa.Column[Any]) -> TypeEngine[Any]:
    """The column's type without the length or scale to which a cast would cut a value: another one is then found."""
    match column.type:
        case sa.CHAR() | sa.Enum() | sa.Float():
            return column.type
        case sa.String(length=int()):
            return sa.String()
        case sa.Numeric():
            return sa.Numeric()
    return column.type


def _key_order(entity: Entity, slot: Slot, field: Field) -> sa.ColumnElement[Any]:
    """What PostgreSQL sorts by to give the order of the field's key texts, which DynamoDB compares byte by byte."""
    column = entity.source.columns[field.column]
    if isinstance(field.kind, kinds.Instant):
        return sa.func.date_trunc(_UNITS[field.spec], column) if field.spec in _UNITS else column
    if slot.attribute.type != "S" or field.mask or isinstance(field.kind, kinds.Boolean):
        return column
    return (column if isinstance(field.kind, kinds.Text) else sa.cast(column, sa.Text)).collate("C")
