"""Conditions on a row: SQLAlchemy's own boolean expressions, held in a form that Python can evaluate as SQL would.

The expression is brought into negation normal form once: every comparison then asks whether it *is true*, so that NULL
needs no third value (`NOT (a = 1)` becomes `a <> 1`, neither of which is true of NULL).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import elements, operators

from migrator.mapping import kind as kinds
from migrator.mapping.errors import MappingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from migrator.mapping.kind import Kind, RowValue

    Kinds: TypeAlias = Callable[[sa.Column[Any]], Kind]

_HELP: Final = (
    "Write it with columns of the source and constants: ==, !=, in_(), not_in(), is_(None), is_not(None), "
    "a boolean column, and_(), or_(), ~."
)
_IN: Final = {operators.in_op: False, operators.not_in_op: True}
_EQUALS: Final = {operators.eq: False, operators.ne: True}
_IS: Final = {operators.is_: False, operators.is_not: True}
_TRUTH: Final = (elements.True_, elements.False_)


@dataclass(frozen=True)
class Comparison:
    """`column IN values`, `column NOT IN values`, or (with no values) `column IS NULL`, `column IS NOT NULL`."""

    column: str
    values: tuple[Any, ...] | None
    negated: bool


@dataclass(frozen=True)
class Junction:
    """All of its members, or any of them."""

    every: bool
    members: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Junction


def holds(condition: Condition, row: Mapping[str, RowValue]) -> bool:
    """Whether the condition is true of the row; NULL makes no comparison true."""
    if isinstance(condition, Junction):
        return (all if condition.every else any)(holds(member, row) for member in condition.members)
    value = row[condition.column]
    if condition.values is None:
        return (value is None) is not condition.negated
    return value is not None and (value in condition.values) is not condition.negated


def read(expression: sa.ColumnElement[Any], kind_of: Kinds, *, negated: bool = False) -> Condition:
    """The condition that a SQLAlchemy expression states; `kind_of` gives the kind of a column of the source.

    Raises:
        MappingError: the expression uses what cannot be evaluated here as PostgreSQL would.
    """
    match expression:
        case elements.Grouping():
            return read(_element(expression.element), kind_of, negated=negated)
        case elements.BooleanClauseList():
            every = (expression.operator is operators.and_) is not negated
            return Junction(every, tuple(read(part, kind_of, negated=negated) for part in expression.clauses))
        case elements.AsBoolean():
            false = expression.operator is operators.is_false
            return read(_element(expression.element), kind_of, negated=negated is not false)
        case elements.UnaryExpression() if expression.operator is operators.inv:
            return read(_element(expression.element), kind_of, negated=not negated)
        case elements.BinaryExpression(left=sa.Column()):
            return _comparison(expression, kind_of, negated=negated)
        case sa.Column():
            return Comparison(expression.name, _constants(expression, (True,), kind_of), negated)
    raise _unreadable(expression)


def _unreadable(expression: sa.ColumnElement[Any]) -> MappingError:
    return MappingError(f"the condition '{expression}' cannot be evaluated on a row", next_step=_HELP)


def _element(element: object) -> sa.ColumnElement[Any]:
    """SQLAlchemy types the inside of a boolean expression more widely than it can be."""
    return cast("sa.ColumnElement[Any]", element)


def _comparison(expression: elements.BinaryExpression[Any], kind_of: Kinds, *, negated: bool) -> Condition:
    column = cast("sa.Column[Any]", expression.left)
    right, operator = expression.right, expression.operator
    match right:
        case elements.Null() if operator in _IS:
            kind_of(column)
            return Comparison(column.name, None, _IS[operator] is not negated)
        case elements.True_() | elements.False_() if operator in _IS:
            values = _constants(column, (isinstance(right, elements.True_),), kind_of)
            return _is(column.name, values, unlike=_IS[operator] is not negated)
        case elements.True_() | elements.False_() if operator in _EQUALS:
            values = _constants(column, (isinstance(right, elements.True_),), kind_of)
            return Comparison(column.name, values, _EQUALS[operator] is not negated)
        case elements.BindParameter() if operator in _EQUALS:
            values = _constants(column, (right.value,), kind_of)
            return Comparison(column.name, values, _EQUALS[operator] is not negated)
        case elements.BindParameter() if operator in _IN:
            return _among(column, cast("Iterable[object]", right.value), kind_of, unlike=_IN[operator] is not negated)
    raise _unreadable(expression)


def _is(column: str, values: tuple[object, ...], *, unlike: bool) -> Condition:
    """`IS TRUE` and its like, whose negation is true of NULL."""
    if not unlike:
        return Comparison(column, values, negated=False)
    null = Comparison(column, None, negated=False)
    return Junction(every=False, members=(null, Comparison(column, values, negated=True)))


def _among(column: sa.Column[Any], values: Iterable[object], kind_of: Kinds, *, unlike: bool) -> Condition:
    constants = _constants(column, tuple(values), kind_of)
    if not constants:
        return Junction(every=unlike, members=())  # nothing is in an empty list, and everything is not, NULL included
    return Comparison(column.name, constants, unlike)


def _constants(column: sa.Column[Any], values: tuple[object, ...], kind_of: Kinds) -> tuple[object, ...]:
    """The constants as a row would carry them, where Python compares them as PostgreSQL does."""
    kind = kind_of(column)
    # A character(n) column is compared without its padding, and a decorated type may store another value.
    exact = not isinstance(column.type, (sa.CHAR, sa.types.TypeDecorator))
    for fitting, types in _COMPARABLE:
        if exact and type(kind) is fitting:
            return tuple(_constant(column, value, types) for value in values)
    raise MappingError(
        f"a condition compares column {column.name}, whose values Python may compare otherwise than PostgreSQL",
        next_step="Use a column of a text, integer, numeric, boolean, uuid or enum type, or ask whether it is NULL.",
    )


def _constant(column: sa.Column[Any], value: object, types: tuple[type, ...]) -> object:
    if isinstance(column.type, sa.Enum):
        value = _label(column.type, value)
    if isinstance(column.type, sa.Uuid):
        value = _uuid(value)
    fits = isinstance(value, types) and isinstance(value, bool) is (types == (bool,))
    if not fits or (isinstance(value, Decimal) and not value.is_finite()):
        raise MappingError(
            f"a condition compares column {column.name} with a constant of another type, {type(value).__name__}",
            next_step=f"Compare it with a constant of type {' or '.join(one.__name__ for one in types)}.",
        )
    return value


def _label(enum: sa.Enum, value: object) -> object:
    """The label that PostgreSQL holds for a member of a Python enum, or for a label given as text."""
    process = enum.bind_processor(postgresql.dialect())  # type: ignore[no-untyped-call]
    try:
        label = value if process is None else process(value)
    except LookupError:
        label = None
    if label not in enum.enums:
        raise MappingError(
            f"a condition compares with a constant that is no label of enum {enum.name}",
            next_step=f"Use one of: {', '.join(enum.enums)}.",
        )
    return label


def _uuid(value: object) -> object:
    try:
        return str(UUID(str(value)))
    except ValueError:
        return None


_COMPARABLE: Final[tuple[tuple[type[Kind], tuple[type, ...]], ...]] = (
    (kinds.Boolean, (bool,)),
    (kinds.Integer, (int,)),
    (kinds.Numeric, (int, Decimal)),
    (kinds.Text, (str,)),
    (kinds.Uuid, (str,)),
    (kinds.Labelled, (str,)),
)
