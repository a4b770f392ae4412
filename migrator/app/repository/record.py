"""The pydantic model of an entity's rows, generated from its SQLAlchemy columns, and values of either store in it."""

from __future__ import annotations

import json
import keyword
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, PrivateAttr, create_model

from migrator.app.errors import ConflictError
from migrator.app.repository.columns import as_held, element_type
from migrator.errors import ConfigurationError, UsageError
from migrator.mapping import MappingError, Undecodable
from migrator.mapping import kind as kinds
from migrator.mapping.array import Array, Set

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import sqlalchemy as sa

    from migrator.mapping import Entity, Row
    from migrator.mapping.kind import Kind

Values: TypeAlias = "Mapping[str, Any]"
"""Column name to value, as SQLAlchemy has it; instants in UTC, arrays as tuples."""

_TYPES: Final[Mapping[type[Kind], Any]] = {
    kinds.Text: str,
    kinds.Labelled: str,
    kinds.Boolean: bool,
    kinds.Integer: int,
    kinds.Float: float,
    kinds.Real: float,
    kinds.Numeric: Decimal,
    kinds.Binary: bytes,
    kinds.Uuid: UUID,
    kinds.Instant: datetime,
    kinds.Date: date,
    kinds.Json: JsonValue,
}


class Record(BaseModel):
    """A row. It is immutable: `record.model_copy(update={...})` is what it is to become.

    It remembers as what it was read; `put` and `delete` ask whether the row is still that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=())
    _read: dict[str, Any] | None = PrivateAttr(default=None)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401 - the columns' own types


class Shape:
    """How an entity's rows look to the application.

    `model` is the generated class; `columns` the names of the columns that it has.

    Args:
        entity: the entity.
        columns: the columns that rows have in both stores.

    Raises:
        ConfigurationError: a column is of a type that no model can hold as both stores have it.
    """

    def __init__(self, entity: Entity, columns: tuple[str, ...]) -> None:
        self.entity = entity
        self.columns = columns
        self._fields = {name: _field_name(name) for name in columns}
        self._from_row = {name: _reader(entity, name) for name in columns}
        fields: dict[str, Any] = {}
        for name, field in self._fields.items():
            column = entity.source.columns[name]
            type_ = _type_of(entity.plan.kinds[name], column.type)
            nullable = bool(column.nullable)
            fields[field] = (
                type_ | None if nullable else type_,
                Field(default=None if nullable else ..., alias=name if field != name else None),
            )
        self.model: type[Record] = create_model(
            "".join(part.capitalize() for part in entity.name.split("_")), __base__=Record, **fields
        )

    def of_row(self, row: Row) -> Record:
        """A record of a row as the mapping has it.

        Raises:
            Undecodable: as `read`.
        """
        return self._record(self.read(row))

    def read(self, row: Row) -> dict[str, Any]:
        """The values of a row as the mapping has it.

        Raises:
            Undecodable: a value has no Python value of the column's type, such as an instant at infinity.
        """
        values = {}
        for name, read in self._from_row.items():
            try:
                values[name] = None if row[name] is None else read(row[name])
            except ValueError as error:
                raise Undecodable(self.entity.name, name, "a value that Python's type does not hold") from error
        return values

    def of_source(self, values: Values) -> Record:
        """A record of a row as SQLAlchemy has it."""
        return self._record(self.normal(values))

    def row(self, values: Values, current: Row | None = None) -> Row:
        """The row as the mapping has it, with these values as PostgreSQL's columns would hold them.

        Args:
            values: the values, in their normal form.
            current: the row as it is now: what does not change keeps its exact form.

        Raises:
            UsageError: the column would not hold a value.
            MappingError: an item has columns that only PostgreSQL computes.
        """
        generated = [name for name in self.entity.plan.kinds if name not in self.columns]
        if generated:
            raise MappingError(
                f"{self.entity.name} cannot be written in DynamoDB: PostgreSQL computes {', '.join(generated)}",
                next_step="have the application compute it, and the mapping take it from an ordinary column",
            )
        kept = set() if current is None else set(self.columns) - set(self.changed(values, self.read(current)))
        return {
            name: (current or {})[name] if name in kept else as_held(self.entity, name, values[name])
            for name in self.entity.plan.kinds
        }

    def values(self, record: Record) -> dict[str, Any]:
        """A record's values, validated: a copy may have been given any.

        Raises:
            pydantic.ValidationError: one is none of its column's.
            UsageError: it is no record of this entity.
        """
        if not isinstance(record, self.model):
            raise UsageError(f"a record of {self.entity.name} is expected here, not of {type(record).__name__}")
        checked = self.model.model_validate({field: getattr(record, field) for field in self._fields.values()})
        return self.normal({name: getattr(checked, field) for name, field in self._fields.items()})

    def key(self, values: Values) -> tuple[Any, ...]:
        """The primary key."""
        return tuple(values[name] for name in self.entity.key_columns)

    def key_of(self, record: Record) -> tuple[Any, ...]:
        """The primary key of a record."""
        return tuple(getattr(record, self._fields[name]) for name in self.entity.key_columns)

    def changed(self, values: Values, read: Values) -> list[str]:
        """The columns in which a row is another than it was read."""
        return [name for name in self.columns if self._comparable(name, values) != self._comparable(name, read)]

    def check(self, held: Values | None, read: Values | None) -> None:
        """Refuses to write a row that is not as it was read.

        Args:
            held: the row as it is now, in its normal form; None: there is none.
            read: as it was read; None: it was not, and there is to be none.

        Raises:
            ConflictError: it is another than it was.
        """
        name = self.entity.name
        if held is None:
            if read is not None:
                raise ConflictError(f"the row of {name} has been deleted since it was read")
            return
        if read is None:
            raise ConflictError(
                f"there is a row of {name} with this key", next_step="read it first, or put it with overwrite=True"
            )
        changed = self.changed(held, read)
        if changed:
            raise ConflictError(
                f"the row of {name} has changed since it was read, in {', '.join(changed)}",
                next_step="read it again, and decide anew",
            )

    def _comparable(self, name: str, values: Values) -> Any:  # noqa: ANN401 - of the column's type
        value = values[name]
        # An item that holds an array as a Set does not keep its order.
        is_set = isinstance(self.entity.plan.compared.get(name), Set) and value is not None
        return sorted(map(repr, value)) if is_set else value

    def normal(self, values: Values) -> dict[str, Any]:
        """Values in the form that is the same from either store."""
        kinds_of = self.entity.plan.kinds
        return {
            name: _tuples(values[name]) if isinstance(kinds_of[name], Array) else _in_utc(values[name])
            for name in self.columns
        }

    def _record(self, values: dict[str, Any]) -> Record:
        record = self.model.model_construct(**{self._fields[name]: value for name, value in values.items()})
        record._read = values  # noqa: SLF001 - of this module's own class
        return record


def _field_name(column: str) -> str:
    """The column's name, where a model can have an attribute of it; else the name with `_` behind it."""
    usable = column.isidentifier() and not keyword.iskeyword(column) and not column.startswith(("_", "model_"))
    return column if usable and not hasattr(BaseModel, column) else f"{column.strip('_')}_"


def _type_of(kind: Kind, type_: sa.types.TypeEngine[Any]) -> Any:  # noqa: ANN401 - a type, or a form of typing's
    """The Python type of a column's values."""
    if isinstance(kind, Array):
        element: Any = _type_of(kind.element, element_type(type_))
        return tuple[element | None, ...]
    if isinstance(kind, kinds.Uuid) and not getattr(type_, "as_uuid", True):
        return str
    of_numbers = isinstance(kind, kinds.Numeric | kinds.Float)
    other = of_numbers and getattr(type_, "asdecimal", False) is not isinstance(kind, kinds.Numeric)
    if type(kind) not in _TYPES or other or getattr(type_, "enum_class", None) is not None:
        raise ConfigurationError(
            f"no model can hold values of type {type_!r} as both stores have them",
            next_step="read rows of this table with the Router and functions of your own",
        )
    return _TYPES[type(kind)]


def _reader(entity: Entity, name: str) -> Callable[[Any], Any]:
    """How a column's value as the mapping has it becomes one as SQLAlchemy has it."""
    return _reader_of(entity.plan.kinds[name], entity.source.columns[name].type)


def _reader_of(kind: Kind, type_: sa.types.TypeEngine[Any]) -> Callable[[Any], Any]:
    match kind:
        case Array():
            element = _reader_of(kind.element, element_type(type_))
            return lambda values: tuple(_each(element, value) for value in values)
        case kinds.Json():
            return json.loads
        case kinds.Instant() if kind.zone:
            return lambda text: datetime.fromisoformat(text).astimezone(UTC)
        case kinds.Instant():
            return datetime.fromisoformat
    made = _type_of(kind, type_)
    if made is date:
        return date.fromisoformat
    converted: Callable[[Any], Any] = made
    return converted


def _each(element: Callable[[Any], Any], value: Any) -> Any:  # noqa: ANN401 - an element, or an array within
    if isinstance(value, list):
        return tuple(_each(element, each) for each in value)
    return None if value is None else element(value)


def _tuples(value: Any) -> Any:  # noqa: ANN401 - an array, or an element
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else _in_utc(value)


def _in_utc(value: Any) -> Any:  # noqa: ANN401 - of a column's type
    return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value
