"""Conditions on a row: SQLAlchemy's own boolean expressions, held in a form that Python can evaluate as SQL would.

The expression is brought into negation normal form once: every comparison then asks whether it *is true*, so that NULL
needs no third value (`NOT (a = 1)` becomes `a <> 1`, neither of which is true of NULL).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.sql import elements, operators

from migrator.mapping.errors import MappingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from migrator.mapping.kind import RowValue

_HELP: Final = "Write it with columns and constants: ==, !=, in_(), not_in(), is_(None), is_not(None), a boolean column, and_(), or_(), ~."


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


def columns(condition: Condition) -> Iterator[str]:
    """The columns it asks about."""
    if isinstance(condition, Comparison):
        yield condition.column
        return
    for member in condition.members:
        yield from columns(member)


def read(expression: ColumnElement[bool], *, negated: bool = False) -> Condition:
    """The condition that a SQLAlchemy expression states.

    Raises:
        MappingError: the expression uses what cannot be evaluated here.
    """
    match expression:
        case elements.Grouping():
            return read(expression.element, negated=negated)
        case elements.BooleanClauseList():
            every = (expression.operator is operators.and_) is not negated
            return Junction(every, tuple(read(part, negated=negated) for part in expression.clauses))
        case elements.AsBoolean():
            return read(expression.element, negated=negated is not (expression.operator is operators.is_false))
        case elements.UnaryExpression() if expression.operator is operators.inv:
            return read(expression.element, negated=not negated)
        case elements.BinaryExpression():
            return _comparison(expression, negated=negated)
        case elements.ColumnClause():
            return Comparison(_name(expression), (True,), negated)
    raise MappingError(f"the condition '{expression}' cannot be evaluated on a row", next_step=_HELP)


def _name(column: ColumnElement[Any]) -> str:
    return str(getattr(column, "name", column))


def _comparison(expression: elements.BinaryExpression[Any], *, negated: bool) -> Condition:
    left, right, operator = expression.left, expression.right, expression.operator
    if isinstance(left, elements.ColumnClause):
        name = _name(left)
        if operator in {operators.is_, operators.is_not}:
            unlike = (operator is operators.is_not) is not negated
            if isinstance(right, elements.Null):
                return Comparison(name, None, unlike)
            if isinstance(right, (elements.True_, elements.False_)):
                return _is(name, unlike=unlike, value=isinstance(right, elements.True_))
        if operator in {operators.eq, operators.ne}:
            unlike = (operator is operators.ne) is not negated
            if isinstance(right, elements.BindParameter):
                return Comparison(name, (_constant(right.value),), unlike)
            if isinstance(right, (elements.True_, elements.False_)):
                return Comparison(name, (isinstance(right, elements.True_),), unlike)
        if operator in {operators.in_op, operators.not_in_op} and isinstance(right, elements.BindParameter):
            unlike = (operator is operators.not_in_op) is not negated
            return Comparison(name, tuple(map(_constant, right.value)), unlike)
    raise MappingError(f"the condition '{expression}' cannot be evaluated on a row", next_step=_HELP)


def _is(column: str, *, value: bool, unlike: bool) -> Condition:
    """`IS TRUE` and its like, whose negation is true of NULL."""
    if not unlike:
        return Comparison(column, (value,), negated=False)
    return Junction(
        every=False, members=(Comparison(column, None, negated=False), Comparison(column, (value,), negated=True))
    )


def _constant(value: object) -> object:
    """The constant as a row would carry it."""
    match value:
        case Enum():
            return value.name
        case UUID():
            return str(value)
        case bool() | int() | str() | Decimal():
            return value
    raise MappingError(f"a condition cannot compare with a {type(value).__name__}", next_step=_HELP)
