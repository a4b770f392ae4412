"""Which kind a column is, by its SQLAlchemy type."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import types as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.types import TypeEngine

from migrator.mapping import kind as kinds
from migrator.mapping.errors import MappingError
from migrator.mapping.kind import Kind

_REAL_PRECISION: Final = 24
"""`float(p)` up to this precision is real in PostgreSQL; above it is double precision."""

_PRINTED: Final[tuple[type[TypeEngine[Any]], ...]] = (
    pg.INET,
    pg.CIDR,
    pg.MACADDR,
    pg.MACADDR8,
    pg.BIT,
    pg.CITEXT,
    pg.TSVECTOR,
    pg.TSQUERY,
    pg.OID,
    pg.REGCLASS,
    pg.ranges.AbstractRange,
    pg.ranges.AbstractMultiRange,
    sa.Interval,
    pg.INTERVAL,
    sa.Time,
)
"""Types with no closer DynamoDB type, whose printed form is exact and reads back."""


def kind_of(column_type: TypeEngine[Any]) -> Kind:  # noqa: PLR0911 - one line a type, read as a table
    """The kind of a column of this type.

    Raises:
        MappingError: the type has no natural form; the message names what to declare.
    """
    match column_type:
        case sa.TypeDecorator():
            return kind_of(column_type.impl_instance)
        case pg.DOMAIN():
            return kind_of(column_type.data_type)
        case sa.Enum() | pg.ENUM():
            return kinds.Labelled(labels=tuple(column_type.enums))
        case sa.Uuid():
            return kinds.Uuid()
        case sa.Boolean():
            return kinds.Boolean()
        case _ if isinstance(column_type, _PRINTED):
            return kinds.Printed()
        case sa.Integer():
            return kinds.Integer()
        case sa.REAL():
            return kinds.Real()
        case sa.Float():
            real = column_type.precision is not None and column_type.precision <= _REAL_PRECISION
            return kinds.Real() if real else kinds.Float()
        case sa.Numeric():
            return kinds.Numeric()
        case sa.DateTime():
            return kinds.Instant(zone=column_type.timezone)
        case sa.Date():
            return kinds.Date()
        case sa.LargeBinary():
            return kinds.Binary()
        case sa.JSON():
            return kinds.Json(binary=isinstance(column_type, pg.JSONB))
        case sa.ARRAY():
            return kinds.Array(element=kind_of(column_type.item_type))
        case sa.String():
            return kinds.Text()
    raise MappingError(
        f"columns of type {column_type} have no natural form in DynamoDB",
        next_step="Declare the attribute with form=TEXT to store what PostgreSQL prints.",
    )
