"""The rows of the story as its driver knows them: values of each column, and their way through JSON.

What the driver sends and what PostgreSQL answers are compared value by value, so both sides speak of Python's values:
`datetime`, `Decimal`, `UUID`, and for documents whatever JSON gives.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

import sqlalchemy as sa

from mappings.miyabi.schema import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Values: TypeAlias = "dict[str, Any]"
"""A row by column name."""

Key: TypeAlias = "tuple[Any, ...]"
"""The values of a primary key, in its order."""

APPLICATION: Final = "story application"
"""By which the application's sessions on the source are told."""

TABLES: Final[Mapping[str, sa.Table]] = metadata.tables

_READ: Final[Mapping[type[sa.types.TypeEngine[Any]], Callable[[str], Any]]] = {
    sa.DateTime: datetime.fromisoformat,
    sa.Uuid: UUID,
    sa.Numeric: Decimal,
}


def received(table: str, values: Mapping[str, Any]) -> Values:
    """Values as JSON has brought them, as those of their columns."""
    columns = TABLES[table].c
    return {name: _received(columns[name].type, value) for name, value in values.items()}


def _received(column: sa.types.TypeEngine[Any], value: object) -> object:
    read = next((each for kind, each in _READ.items() if isinstance(column, kind)), None)
    return value if read is None or not isinstance(value, str) else read(value)


def key_columns(table: str) -> list[str]:
    """The columns of a primary key."""
    return [str(column.name) for column in TABLES[table].primary_key]


def key_of(table: str, values: Mapping[str, Any]) -> Key:
    """A row's key."""
    return tuple(values[name] for name in key_columns(table))


def named(table: str, key: Key) -> Values:
    """A key as its columns and their values."""
    return dict(zip(key_columns(table), key, strict=True))


def having(table: str, keys: Iterable[Key]) -> sa.ColumnElement[bool]:
    """The condition that a row has one of these keys."""
    return sa.tuple_(*TABLES[table].primary_key).in_(list(keys))


def plain(row: sa.RowMapping) -> Values:
    """A row as SQLAlchemy gives it, with names that JSON takes."""
    return {str(name): value for name, value in row.items()}


def sent(value: object) -> str:
    """Values as JSON, with numbers of any length."""
    return json.dumps(value, default=lambda each: each.isoformat() if isinstance(each, datetime) else str(each))
