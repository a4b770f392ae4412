"""What is said of a row that is set aside: the table, the key, the column, the reason and the policy, and no value."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import SET, Attribute, B, Encoder, Entity, Item, S, Table
from tests.unit.mapping.agreement import QUICK
from tests.unit.mapping.generated_entities import entities
from tests.unit.mapping.generated_rows import projected, rows
from tests.unit.mapping.small import entity_of, refusal, table_of

if TYPE_CHECKING:
    from migrator.mapping import Row


def test_a_refusal_names_everything_and_says_what_to_do() -> None:
    source = sa.Table(
        "prices",
        sa.MetaData(),
        sa.Column("shop", sa.Text, primary_key=True),
        sa.Column("item", sa.LargeBinary, primary_key=True),
        sa.Column("price", sa.Numeric),
        schema="sales",
    )
    table = Table("target", S("shop"), B("item"))
    entity = Entity("PRICE", source, table, [Item("{shop}", "{item}")], [Attribute("price", source.c.price)])
    failure = refusal(entity, {"shop": "corner", "item": b"\x00\xff", "price": Decimal("NaN")})
    assert failure.table == "sales.prices"
    assert failure.key == ("corner", "\\x00ff")
    assert failure.column == "price"
    assert str(failure).startswith("sales.prices (corner, \\x00ff), column price: NaN or an infinity")
    assert failure.next_step == "Declare the attribute with form=TEXT to store such values as PostgreSQL prints them."
    assert failure.safe == "The row is unchanged in PostgreSQL, and no item was written for it."


@pytest.mark.uncovered
@QUICK
@given(st.data())
def test_no_value_of_a_row_is_in_a_message(data: st.DataObject) -> None:
    entity = data.draw(entities())
    row = data.draw(rows(entity, ordinary=False))
    for failure in Encoder(entity).encode([projected(entity, row)]).failures:
        said = f"{failure} {failure.next_step} {failure.safe} {failure.why}".replace(", ".join(failure.key), "")
        assert [name for name, text in _values(entity, row) if text in said] == []


def _values(entity: Entity, row: Row) -> list[tuple[str, str]]:
    """What a row holds besides its key, as text long enough to be told from a message's own words."""
    known = "DynamoDB infinity"
    texts = [(name, str(row[name])) for name in entity.plan.kinds if name not in entity.key_columns]
    return [(name, text) for name, text in texts if len(text) > 5 and text not in known]


SECRET = "hunter2-hunter2"  # noqa: S105 - what must not be shown


@pytest.mark.parametrize(
    ("column_type", "value"),
    [
        (pg.JSONB, f'{{"{SECRET}": 1, "": "{SECRET}"}}'),
        (sa.JSON, f'{{"{SECRET}": 1, "{SECRET}": 2}}'),
        (sa.JSON, f'{{"a": {SECRET}}}'),
        (pg.JSONB, f'["{SECRET}", {"9" * 39}]'),
        (sa.Text, SECRET * 40_000),
        (sa.DateTime(timezone=True), f"{SECRET} BC"),
    ],
    ids=range(6),
)
def test_no_secret_is_in_a_message(column_type: Any, value: object) -> None:  # noqa: ANN401 - SQLAlchemy's types
    failure = refusal(entity_of(sa.Column("value", column_type)), {"id": "the-key", "value": value})
    said = f"{failure} {failure.next_step} {failure.safe} {failure.why}"
    assert SECRET not in said
    assert "the-key" in said
    assert SECRET not in repr(failure.__cause__)


def test_no_member_of_a_set_is_in_a_message() -> None:
    source = table_of(sa.Column("tags", sa.ARRAY(sa.Text)))
    entity = entity_of(source=source, attributes=[Attribute("tags", source.c.tags, form=SET)])
    assert SECRET not in str(refusal(entity, {"id": "a", "tags": [SECRET, SECRET]}))


def test_a_number_is_not_in_a_message() -> None:
    entity = entity_of(sa.Column("value", sa.Numeric))
    assert "123456789" not in str(refusal(entity, {"id": "a", "value": Decimal("123456789" * 5)}))
