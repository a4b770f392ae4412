"""Kinds: which type is of which kind, what a person may write, and what is equal."""

from __future__ import annotations

import enum
import math
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import EPOCH, SET, TEXT, MappingError
from migrator.mapping import kind as kinds
from migrator.mapping.array import Array, Set
from migrator.mapping.errors import Unfit
from migrator.mapping.types import kind_of


class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


class Wrapped(sa.types.TypeDecorator[int]):
    impl = sa.BigInteger
    cache_ok = True


@pytest.mark.parametrize(
    ("column_type", "kind"),
    [
        (sa.SmallInteger(), kinds.Integer()),
        (sa.BigInteger(), kinds.Integer()),
        (Wrapped(), kinds.Integer()),
        (sa.Numeric(5, 2), kinds.Numeric()),
        (sa.REAL(), kinds.Real()),
        (sa.Float(24), kinds.Real()),
        (sa.Float(25), kinds.Float()),
        (sa.Float(), kinds.Float()),
        (sa.Double(), kinds.Float()),
        (sa.Boolean(), kinds.Boolean()),
        (sa.String(20), kinds.Text()),
        (sa.CHAR(3), kinds.Text()),
        (sa.Unicode(), kinds.Text()),
        (pg.CITEXT(), kinds.Printed()),
        (sa.Uuid(), kinds.Uuid()),
        (pg.UUID(as_uuid=False), kinds.Uuid()),
        (sa.Enum(Colour), kinds.Labelled(labels=("RED", "BLUE"))),
        (pg.ENUM("a", "b", name="e"), kinds.Labelled(labels=("a", "b"))),
        (sa.DateTime(timezone=True), kinds.Instant(zone=True)),
        (pg.TIMESTAMP(), kinds.Instant(zone=False)),
        (sa.Date(), kinds.Date()),
        (sa.Time(), kinds.Printed()),
        (sa.Interval(), kinds.Printed()),
        (pg.INTERVAL(), kinds.Printed()),
        (sa.LargeBinary(), kinds.Binary()),
        (pg.BYTEA(), kinds.Binary()),
        (pg.JSONB(), kinds.Json(binary=True)),
        (pg.JSON(), kinds.Json(binary=False)),
        (pg.INET(), kinds.Printed()),
        (pg.BIT(3), kinds.Printed()),
        (pg.TSTZRANGE(), kinds.Printed()),
        (pg.INT4MULTIRANGE(), kinds.Printed()),
        (pg.DOMAIN("positive", sa.Integer()), kinds.Integer()),
        (sa.ARRAY(sa.Text()), Array(element=kinds.Text())),
        (pg.ARRAY(sa.Uuid(), dimensions=2), Array(element=kinds.Uuid())),
    ],
    ids=repr,
)
def test_the_kind_of_a_type(column_type: Any, kind: kinds.Kind) -> None:  # noqa: ANN401 - SQLAlchemy's types
    assert kind_of(column_type) == kind


@pytest.mark.parametrize(
    "column_type",
    [pg.HSTORE(), pg.MONEY(), sa.types.NullType(), sa.ARRAY(pg.DOMAIN("pair", sa.ARRAY(sa.Integer())))],
    ids=repr,
)
def test_a_type_without_a_natural_form_is_refused_with_the_policy(column_type: Any) -> None:  # noqa: ANN401 - as above
    with pytest.raises(MappingError) as caught:
        kind_of(column_type)
    assert "form=TEXT" in caught.value.sentence


def test_an_array_of_a_cast_type_is_cast_as_an_array() -> None:
    assert Array(element=kinds.Real()).array_select == "{}::text[]::float8[]"
    assert Array(element=kinds.Integer()).array_select == "{}"


@pytest.mark.parametrize(
    ("kind", "form", "formed"),
    [
        (kinds.Instant(zone=False), EPOCH, kinds.Epoch(zone=False)),
        (kinds.Instant(), TEXT, kinds.Text()),
        (kinds.Json(), TEXT, kinds.Text()),
        (kinds.Printed(), TEXT, kinds.Text()),
        (Array(element=kinds.Uuid()), SET, Set(element=kinds.Uuid())),
    ],
)
def test_forms(kind: kinds.Kind, form: kinds.Form, formed: kinds.Kind) -> None:
    assert kind.formed(form) == formed


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        (kinds.Text(), EPOCH),
        (kinds.Text(), SET),
        (kinds.Date(), EPOCH),
        (Array(element=kinds.Boolean()), SET),
        (Array(element=kinds.Json()), SET),
    ],
)
def test_a_form_that_does_not_fit_is_refused_with_advice(kind: kinds.Kind, form: kinds.Form) -> None:
    with pytest.raises(MappingError, match=f"form={form.name} does not fit") as caught:
        kind.formed(form)
    assert "form=TEXT" in str(caught.value.next_step)


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (kinds.Text(), "a", "a"),
        (kinds.Uuid(), "550E8400-E29B-41D4-A716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        (kinds.Labelled(labels=("a",)), "a", "a"),
        (kinds.Boolean(), True, True),
        (kinds.Integer(), 5, 5),
        (kinds.Integer(), Decimal("5.0"), 5),
        (kinds.Numeric(), 5, Decimal(5)),
        (kinds.Numeric(), Decimal("1.50"), Decimal("1.50")),
        (kinds.Float(), Decimal("0.1"), 0.1),
        (kinds.Binary(), "\\x00ff", b"\x00\xff"),
        (kinds.Date(), "2025-11-29", "2025-11-29"),
        (kinds.Instant(), "2025-11-29T00:00:00Z", "2025-11-29 00:00:00+00"),
        (kinds.Printed(), Decimal("1.50"), "1.50"),
        (kinds.Printed(), True, "true"),
        (kinds.Json(), {"a": [Decimal("1.10"), None]}, '{"a": [1.10, null]}'),
        (kinds.Json(), "text", '"text"'),
        (Array(element=kinds.Integer()), [1, None], [1, None]),
        (Array(element=kinds.Text()), [["a"], ["b"]], [["a"], ["b"]]),
        (Array(element=kinds.Json()), [[1], {"a": 2}], ["[1]", '{"a": 2}']),
    ],
    ids=repr,
)
def test_what_a_person_writes(kind: kinds.Kind, written: object, value: object) -> None:
    found = kind.from_user(written)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (kinds.Text(), 5),
        (kinds.Text(), "a\0b"),
        (kinds.Text(), "\ud800"),
        (kinds.Uuid(), "550e8400"),
        (kinds.Uuid(), 5),
        (kinds.Labelled(labels=("a",)), "unlisted"),
        (kinds.Boolean(), 1),
        (kinds.Boolean(), "yes"),
        (kinds.Integer(), True),
        (kinds.Integer(), "5"),
        (kinds.Integer(), Decimal("5.5")),
        (kinds.Integer(), 2**63),
        (kinds.Integer(), 1.0),
        (kinds.Numeric(), 1.5),
        (kinds.Numeric(), "1.5"),
        (kinds.Numeric(), True),
        (kinds.Float(), 1.5),
        (kinds.Float(), Decimal("1e400")),
        (kinds.Binary(), "c0ffee"),
        (kinds.Binary(), "\\xc0ffe"),
        (kinds.Binary(), 5),
        (kinds.Date(), "29.11.2025"),
        (kinds.Instant(), "yesterday"),
        (kinds.Instant(), 1764412200),
        (kinds.Printed(), ["a"]),
        (kinds.Json(), {"a": 1.5}),
        (Array(element=kinds.Integer()), 1),
        (Array(element=kinds.Integer()), ["1"]),
        (Array(element=kinds.Integer()), [[1], [1, 2]]),
        (Array(element=kinds.Integer()), [1, [1]]),
    ],
    ids=repr,
)
def test_what_a_person_writes_wrongly_is_refused_without_the_value(kind: kinds.Kind, written: object) -> None:
    with pytest.raises(Unfit) as caught:
        kind.from_user(written)
    assert not isinstance(written, str) or written not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "one", "other", "equal"),
    [
        (kinds.Numeric(), Decimal("1.50"), Decimal("1.5"), True),
        (kinds.Float(), -0.0, 0.0, True),
        (kinds.Float(), 0.1, math.nextafter(0.1, 1), False),
        (kinds.Json(), '{"a":1,"b":[2.0]}', '{"b": [2], "a": 1}', True),
        (kinds.Json(), "1", '"1"', False),
        (kinds.Json(), '{"a":1,"a":2}', '{"a":1,"a":2}', True),
        (kinds.Json(), "[" * 600 + "]" * 600, "[" * 600 + "]" * 600, True),
        (Array(element=kinds.Numeric()), [Decimal("1.0"), None], [Decimal(1), None], True),
        (Array(element=kinds.Text()), ["a", "b"], ["b", "a"], False),
        (Set(element=kinds.Text()), ["a", "b"], ["b", "a"], True),
    ],
    ids=repr,
)
def test_which_values_are_equal(kind: kinds.Kind, one: object, other: object, equal: bool) -> None:  # noqa: FBT001 - a parameter of the case
    assert (kind.normal(one) == kind.normal(other)) is equal


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        (kinds.Text(), {"N": "1"}),
        (kinds.Integer(), {"N": "1.5"}),
        (kinds.Integer(), {"N": "x"}),
        (kinds.Integer(), {"N": "Infinity"}),
        (kinds.Numeric(), {"N": None}),
        (kinds.Binary(), {"B": "*"}),
        (kinds.Boolean(), {"S": "true"}),
        (kinds.Date(), {"S": "2025-11-29T00:00:00"}),
        (kinds.Epoch(), {"N": "1E+30"}),
        (Array(element=kinds.Integer()), {"L": [{"S": "1"}]}),
        (Array(element=kinds.Integer()), {"L": 5}),
        (Set(element=kinds.Integer()), {"SS": ["1"]}),
        (kinds.Json(), {"M": {"a": {"SS": ["1"]}}}),
        (kinds.Json(), {}),
        (kinds.Json(), {"S": "a", "N": "1"}),
    ],
    ids=repr,
)
def test_a_malformed_attribute_is_unfit(kind: kinds.Kind, attribute: dict[str, Any]) -> None:
    with pytest.raises(Unfit):
        kinds.read(kind, attribute)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "an empty array"),
        ([Decimal(1), None], "NULL"),
        ([[Decimal(1)]], "several dimensions"),
        ([Decimal("1.0"), Decimal(1)], "one value twice"),
    ],
)
def test_what_a_set_does_not_hold_is_refused_with_the_policy(value: list[object], reason: str) -> None:
    with pytest.raises(Unfit, match=reason) as caught:
        Set(element=kinds.Numeric()).to_attribute(value, 0)
    assert "without form=SET" in str(caught.value.policy)
