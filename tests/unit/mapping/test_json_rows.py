"""Rows that a person writes as plain JSON, and items printed for one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.errors import UsageError
from migrator.mapping import TEXT, Attribute, plain, plain_item, row_from_json, to_text
from tests.unit.mapping.small import entity_of, table_of

if TYPE_CHECKING:
    from migrator.mapping import WireItem

ENTITY = entity_of(
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("price", sa.Numeric),
    sa.Column("note", sa.Text),
    sa.Column("meta", pg.JSONB),
)


def test_a_row_holds_every_column_that_the_mapping_uses() -> None:
    document = {"id": "a", "count": 2, "price": Decimal("1.50"), "meta": {"b": [1]}}
    assert row_from_json(ENTITY, document) == {
        "id": "a",
        "count": 2,
        "price": Decimal("1.50"),
        "note": None,
        "meta": '{"b": [1]}',
    }


def test_a_column_that_the_mapping_does_not_use_is_passed_over() -> None:
    source = table_of(sa.Column("kept", sa.Text), sa.Column("left", sa.Text, nullable=False))
    entity = entity_of(source=source, attributes=[Attribute("kept", source.c.kept)], dropped=[source.c.left])
    assert row_from_json(entity, {"id": "a", "left": 5}) == {"id": "a", "kept": None}
    assert row_from_json(entity, {"id": "a"}) == {"id": "a", "kept": None}


@pytest.mark.parametrize(
    ("document", "message", "advice"),
    [
        ({"id": "a", "count": 1, "colour": "red"}, "source has no column colour", "It has: id, count"),
        ({"id": "a"}, "no value of count", "NOT NULL"),
        ({"id": None, "count": None}, "no value of id, count", "NOT NULL"),
        ({"id": "a", "count": "secret"}, "source, column count: a whole JSON number", None),
        ({"id": "a", "count": 1, "price": 1.5}, "source, column price: a JSON number", None),
        ({"id": "a", "count": 1, "note": {"secret": 1}}, "source, column note: a JSON string", None),
    ],
)
def test_what_is_no_row_is_refused_by_column(document: dict[str, object], message: str, advice: str | None) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        row_from_json(ENTITY, document)
    assert advice is None or advice in str(caught.value.next_step)
    assert "secret" not in str(caught.value)


def test_a_column_stored_as_text_takes_a_number_as_its_text() -> None:
    source = table_of(sa.Column("price", sa.Numeric), sa.Column("at", sa.DateTime(timezone=True)))
    attributes = [Attribute(column.name, column, form=TEXT) for column in (source.c.price, source.c.at)]
    entity = entity_of(source=source, attributes=attributes)
    row = row_from_json(entity, {"id": "a", "price": Decimal("1.50"), "at": "2025-11-29T00:00:00Z"})
    assert row == {"id": "a", "price": "1.50", "at": "2025-11-29 00:00:00+00"}


ITEM: WireItem = {
    "whole": {"N": "95"},
    "exact": {"N": "12345678901234567890.125"},
    "tens": {"N": "1E+3"},
    "numbers": {"NS": ["10", "9.5"]},
    "texts": {"SS": ["b", "a"]},
    "bytes": {"B": "AP8="},
    "several": {"BS": ["/w==", "AA=="]},
    "nested": {"M": {"list": {"L": [{"NULL": True}, {"BOOL": False}, {"N": "1"}]}}},
}


def test_an_item_is_shown_as_plain_json() -> None:
    shown = plain_item(ITEM)
    assert shown == {
        "whole": 95,
        "exact": Decimal("12345678901234567890.125"),
        "tens": 1000,
        "numbers": [Decimal("9.5"), 10],
        "texts": ["a", "b"],
        "bytes": "AP8=",
        "several": ["/w==", "AA=="],
        "nested": {"list": [None, False, 1]},
    }
    assert isinstance(shown["whole"], int)
    assert '"exact": 12345678901234567890.125, "tens": 1000,' in to_text(shown)


def test_plain_values_for_a_computed_attributes_inverse() -> None:
    assert plain({"M": {"n": {"N": "1.0"}, "b": {"B": "AP8="}, "s": {"NS": ["2"]}}}) == {
        "n": Decimal(1),
        "b": b"\x00\xff",
        "s": [Decimal(2)],
    }
    assert plain({"NULL": True}) is None
