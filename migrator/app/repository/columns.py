"""A value as PostgreSQL's column would hold it, for rows that DynamoDB holds instead: rounded, checked, in one form."""

from __future__ import annotations

import struct
from datetime import timedelta
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from migrator.errors import UsageError
from migrator.mapping import Unfit
from migrator.mapping import kind as kinds
from migrator.mapping.array import Array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from migrator.mapping import Entity, RowValue
    from migrator.mapping.kind import Kind

_WIDEST: Final = Context(prec=150_000)
"""More digits than a numeric has."""
_REAL_DIGITS: Final = range(6, 10)
"""The digits with one of which a real reads back as itself."""


def as_held(entity: Entity, name: str, value: Any) -> RowValue:  # noqa: ANN401 - of the column's type
    """A column's value as a row of the mapping has it.

    Raises:
        UsageError: the column would not hold it.
    """
    if value is None:
        return None
    try:
        return _held(entity.plan.kinds[name], entity.source.columns[name].type, value)
    except (Unfit, OverflowError) as error:
        why = error.reason if isinstance(error, Unfit) else "a number beyond the column's type"
        raise UsageError(
            f"{entity.name}, column {name}: {why}", safe="nothing was written", next_step="give a value that it holds"
        ) from error


def element_type(type_: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    """The type of an array's elements."""
    return type_.item_type if isinstance(type_, sa.ARRAY) else sa.Text()


def _held(kind: Kind, type_: sa.types.TypeEngine[Any], value: Any) -> RowValue:  # noqa: ANN401 - as above
    # What is not named here holds every value of its Python type: boolean, double precision, bytea.
    held = next((held for some, held in _HOLDING if isinstance(kind, some)), None)
    return value if held is None else held(kind, type_, value)


def _array(kind: Array, type_: sa.types.TypeEngine[Any], value: Iterable[Any]) -> RowValue:
    return [_element(kind, element_type(type_), each) for each in value]


def _element(kind: Array, type_: sa.types.TypeEngine[Any], value: Any) -> RowValue:  # noqa: ANN401 - or an array within
    if isinstance(value, tuple):
        return [_element(kind, type_, each) for each in value]
    return None if value is None else _held(kind.element, type_, value)


def _exact(value: Any) -> Any:  # noqa: ANN401 - a JSON document
    """A document with its numbers exact: floats by their shortest text."""
    match value:
        case dict():
            return {key: _exact(each) for key, each in value.items()}
        case list():
            return [_exact(each) for each in value]
        case float():
            return Decimal(repr(value))
    return value


def _integer(_kind: Kind, type_: sa.types.TypeEngine[Any], value: int) -> int:
    bits = 16 if isinstance(type_, sa.SmallInteger) else 64 if isinstance(type_, sa.BigInteger) else 32
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise Unfit(f"a whole number of at most {bits} bits is expected here")
    return value


def _real(_kind: Kind, _type: sa.types.TypeEngine[Any], value: float) -> float:
    """The double that a real's text reads as."""
    (single,) = struct.unpack("f", struct.pack("f", value))
    texts = (float(f"{single:.{digits}g}") for digits in _REAL_DIGITS)
    return next((each for each in texts if struct.unpack("f", struct.pack("f", each)) == (single,)), single)


def _rounded(_kind: Kind, type_: sa.types.TypeEngine[Any], value: Decimal) -> Decimal:
    precision, scale = getattr(type_, "precision", None), getattr(type_, "scale", None)
    if precision is None or not value.is_finite():
        return value
    try:
        rounded = value.quantize(Decimal(1).scaleb(-(scale or 0)), ROUND_HALF_UP, _WIDEST)
    except InvalidOperation:
        rounded = value
    if abs(rounded) >= Decimal(1).scaleb(precision - (scale or 0)):
        raise Unfit(f"a number of at most {precision} digits, {scale or 0} of them fractional, is expected here")
    return rounded


def _instant(kind: Kind, type_: sa.types.TypeEngine[Any], value: datetime) -> str:
    digits = getattr(type_, "precision", None)
    step = 1 if digits is None else 10 ** (6 - digits)
    value += timedelta(microseconds=(value.microsecond + step // 2) // step * step - value.microsecond)
    return str(kind.from_user(value.isoformat()))


def _text(kind: Kind, type_: sa.types.TypeEngine[Any], value: str) -> str:
    value = kind.from_user(value)
    length = getattr(type_, "length", None)
    if length is None:
        return value
    if len(value.rstrip(" ")) > length:
        raise Unfit(f"text of at most {length} characters is expected here")
    return value[:length].ljust(length) if isinstance(type_, sa.CHAR) else value[:length]


_HOLDING: Final[Sequence[tuple[type[Kind], Callable[..., RowValue]]]] = (
    (Array, _array),
    (kinds.Json, lambda kind, _, value: kind.from_user(_exact(value))),
    (kinds.Integer, _integer),
    (kinds.Real, _real),
    (kinds.Numeric, _rounded),
    (kinds.Instant, _instant),
    (kinds.Text, _text),
    (kinds.Labelled, lambda kind, _, value: kind.from_user(value)),
    (kinds.Date, lambda kind, _, value: kind.from_user(value.isoformat())),
    (kinds.Uuid, lambda kind, _, value: kind.from_user(str(value))),
)
"""How a kind's values become what a column holds."""
