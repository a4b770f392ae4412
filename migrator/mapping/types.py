"""Which kind a column is, by its SQLAlchemy type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import kind as kinds
from migrator.mapping.array import Array
from migrator.mapping.errors import MappingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.types import TypeEngine

    from migrator.mapping.kind import Kind

_REAL_PRECISION: Final = 24
"""`float(p)` up to this precision is real in PostgreSQL; above it is double precision."""


def _float(column_type: sa.Float[Any]) -> Kind:
    precision = column_type.precision
    return kinds.Real() if precision is not None and precision <= _REAL_PRECISION else kinds.Float()


def _array(column_type: sa.ARRAY[Any]) -> Kind:
    element = kind_of(column_type.item_type)
    if isinstance(element, Array):  # of a domain over an array: no dimension, but a value inside a value
        raise _without_form(column_type)
    return Array(element=element)


_KINDS: Final[tuple[tuple[type[Any] | tuple[type[Any], ...], Callable[[Any], Kind]], ...]] = (
    # Types with no closer DynamoDB type, whose printed form is exact and reads back.
    ((pg.INET, pg.CIDR, pg.MACADDR, pg.MACADDR8, pg.BIT, pg.OID, pg.REGCLASS), lambda _: kinds.Printed()),
    ((pg.CITEXT, pg.TSVECTOR, pg.TSQUERY), lambda _: kinds.Printed()),
    ((pg.ranges.AbstractRange, pg.ranges.AbstractMultiRange), lambda _: kinds.Printed()),
    ((sa.Interval, pg.INTERVAL, sa.Time), lambda _: kinds.Printed()),
    (sa.TypeDecorator, lambda column_type: kind_of(column_type.impl_instance)),
    (pg.DOMAIN, lambda column_type: kind_of(column_type.data_type)),
    ((sa.Enum, pg.ENUM), lambda column_type: kinds.Labelled(labels=tuple(column_type.enums))),
    (sa.Uuid, lambda _: kinds.Uuid()),
    (sa.Boolean, lambda _: kinds.Boolean()),
    (sa.Integer, lambda _: kinds.Integer()),
    (sa.REAL, lambda _: kinds.Real()),
    (sa.Float, _float),
    (sa.Numeric, lambda _: kinds.Numeric()),
    (sa.DateTime, lambda column_type: kinds.Instant(zone=column_type.timezone)),
    (sa.Date, lambda _: kinds.Date()),
    (sa.LargeBinary, lambda _: kinds.Binary()),
    (sa.JSON, lambda column_type: kinds.Json(binary=isinstance(column_type, pg.JSONB))),
    (sa.ARRAY, _array),
    (sa.String, lambda _: kinds.Text()),
)
"""Read from the top: a subclass stands before its base."""


def kind_of(column_type: TypeEngine[Any]) -> Kind:
    """The kind of a column of this type.

    Raises:
        MappingError: the type has no natural form; the message names what to declare.
    """
    for types, kind in _KINDS:
        if isinstance(column_type, types):
            return kind(column_type)
    raise _without_form(column_type)


def _without_form(column_type: TypeEngine[Any]) -> MappingError:
    return MappingError(
        f"columns of type {column_type} have no natural form in DynamoDB",
        next_step="Declare the attribute with form=TEXT to store what PostgreSQL prints.",
    )
