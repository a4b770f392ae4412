"""Conditions on a row: as SQL evaluates them, here SQLite's, with NULL in every column."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import TEXT, Attribute, Item, MappingError
from migrator.mapping import condition as conditions_of_rows
from migrator.mapping.condition import holds
from migrator.mapping.types import kind_of
from tests.unit.mapping.agreement import QUICK
from tests.unit.mapping.generated_entities import conditions
from tests.unit.mapping.small import encoded, entity_of, items_of, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator

FLAG, COUNT, NOTE = sa.Column("flag", sa.Boolean), sa.Column("count", sa.Integer), sa.Column("note", sa.Text)
SOURCE = table_of(FLAG, COUNT, NOTE)
ROWS = [
    {"id": f"{flag}/{count}/{note}", "flag": flag, "count": count, "note": note}
    for flag in (None, True, False)
    for count in (None, 0, 1, 2)
    for note in (None, "", "a")
]


@pytest.fixture(scope="module")
def database() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        SOURCE.metadata.create_all(connection)
        connection.execute(SOURCE.insert(), ROWS)
        yield connection
    engine.dispose()


@QUICK
@given(condition=conditions([(FLAG, "boolean"), (COUNT, "integer"), (NOTE, "text")]))
def test_a_condition_holds_where_sql_says_so(database: sa.Connection, condition: sa.ColumnElement[bool]) -> None:
    selected = set(database.scalars(sa.select(SOURCE.c.id).where(condition)))
    read = conditions_of_rows.read(condition, lambda column: kind_of(column.type))
    assert {row["id"] for row in ROWS if holds(read, row)} == selected
    entity = entity_of(source=SOURCE, items=[Item("A#{id}", "M", when=condition)], attributes=[])
    encoder_says = {item["PK"]["S"].removeprefix("A#") for row in ROWS for item in items_of(entity, row)}
    assert encoder_says == selected
    assert len(encoded(entity, *ROWS).items) == len(selected)


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Shape(enum.Enum):
    ROUND = 1


class Shouted(sa.types.TypeDecorator[str]):
    impl = sa.Text
    cache_ok = True


def column_of(column_type: Any) -> sa.Column[Any]:  # noqa: ANN401 - SQLAlchemy's types
    return table_of(sa.Column("value", column_type)).c.value


def read(condition: sa.ColumnElement[Any]) -> conditions_of_rows.Condition:
    return conditions_of_rows.read(condition, lambda column: kind_of(column.type))


@pytest.mark.parametrize(
    ("column_type", "constant", "value"),
    [
        (sa.Enum(Colour), Colour.RED, "RED"),
        (sa.Enum(Colour, values_callable=lambda colours: [colour.value for colour in colours]), Colour.RED, "r"),
        (pg.ENUM("red", "blue", name="colour"), "red", "red"),
        (
            sa.Uuid(),
            UUID("550e8400-e29b-41d4-a716-446655440000"),
            "550e8400-e29b-41d4-a716-446655440000",
        ),
        (sa.Uuid(as_uuid=False), "550E8400E29B41D4A716446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        (sa.Numeric(), Decimal("1.50"), Decimal("1.5")),
        (sa.Numeric(), 2, Decimal("2.0")),
    ],
    ids=repr,
)
def test_a_constant_is_compared_as_the_row_carries_it(column_type: Any, constant: object, value: object) -> None:  # noqa: ANN401 - SQLAlchemy's types
    column = column_of(column_type)
    assert holds(read(column == constant), {"value": value})
    assert not holds(read(column != constant), {"value": value})
    assert holds(read(column.in_([constant])), {"value": value})


@pytest.mark.parametrize(
    ("column_type", "constant"),
    [
        (sa.Integer(), True),
        (sa.Integer(), Decimal(1)),
        (sa.Numeric(), 1.5),
        (sa.Numeric(), Decimal("NaN")),
        (sa.Numeric(), True),
        (sa.Text(), 1),
        (sa.Uuid(), "no uuid"),
        (sa.Enum(Colour), "GREEN"),
        (sa.Enum(Colour), Shape.ROUND),
    ],
    ids=repr,
)
def test_a_constant_of_another_type_is_refused_with_advice(column_type: Any, constant: object) -> None:  # noqa: ANN401 - SQLAlchemy's types
    with pytest.raises(MappingError) as caught:
        read(column_of(column_type) == sa.bindparam("given", constant, type_=column_type))
    assert caught.value.next_step


@pytest.mark.parametrize(
    "column_type",
    [sa.CHAR(3), Shouted(), sa.Double(), sa.DateTime(), pg.JSONB(), pg.CITEXT(), sa.ARRAY(sa.Text()), sa.LargeBinary()],
    ids=repr,
)
def test_a_type_that_python_compares_otherwise_is_refused_but_for_null(column_type: Any) -> None:  # noqa: ANN401 - SQLAlchemy's types
    column = column_of(column_type)
    with pytest.raises(MappingError, match="compares column value") as caught:
        read(column == sa.bindparam("given", "x", type_=column_type))
    assert "whether it is NULL" in str(caught.value.next_step)
    assert holds(read(column.is_(None)), {"value": None})


@pytest.mark.parametrize(
    "condition",
    [
        COUNT > 1,
        COUNT + 1 == 2,
        sa.func.lower(NOTE) == "a",
        NOTE.like("a%"),
        sa.Column("other", sa.Text) == NOTE,
        sa.literal(1) == COUNT,
        FLAG.is_distinct_from(sa.true()),
        sa.true(),
    ],
    ids=str,
)
def test_what_cannot_be_evaluated_on_a_row_is_refused_with_advice(condition: sa.ColumnElement[bool]) -> None:
    with pytest.raises(MappingError, match="cannot be evaluated on a row") as caught:
        read(condition)
    assert "Write it with columns of the source and constants" in str(caught.value.next_step)


def test_a_condition_on_another_table_is_refused() -> None:
    other = table_of(sa.Column("note", sa.Text), name="other")
    with pytest.raises(MappingError, match="which is not of source"):
        _ = entity_of(sa.Column("note", sa.Text), items=[Item("A#{id}", "M", when=other.c.note == "a")]).plan


def test_a_column_that_is_read_as_text_is_not_compared_as_a_number() -> None:
    source = table_of(sa.Column("count", sa.Integer))
    attributes = [Attribute("count", source.c.count, form=TEXT)]
    with pytest.raises(MappingError, match="compares column count"):
        _ = entity_of(source=source, attributes=attributes, items=[Item("A#{id}", "M", when=source.c.count == 1)]).plan
