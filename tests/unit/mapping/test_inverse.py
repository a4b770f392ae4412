"""The way back: what cannot be told from the items is never guessed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import (
    ABSENT,
    ALL,
    NULL,
    SET,
    Attribute,
    Computed,
    Entity,
    Expiry,
    Inverse,
    Item,
    MappingError,
    N,
    Table,
    Undecodable,
    Unfit,
    claims,
    differing_columns,
    only,
    without,
)
from tests.unit.mapping.generated_entities import doubled, halved
from tests.unit.mapping.small import entity_of, items_of, refusal, table_of, whole

if TYPE_CHECKING:
    from migrator.mapping import Row


def there_and_back(entity: Entity, row: Row) -> Row:
    found = Inverse(entity).row(items_of(entity, row))
    assert differing_columns(entity, whole(entity, row), found) == []
    return found


@pytest.mark.parametrize("null", [ABSENT, NULL])
def test_null_and_json_null_are_told_apart(null: Any) -> None:  # noqa: ANN401 - the policy
    optional = entity_of(sa.Column("meta", pg.JSONB), null=null)
    assert there_and_back(optional, {"id": "a", "meta": None})["meta"] is None
    if null is ABSENT:
        assert there_and_back(optional, {"id": "a", "meta": "null"})["meta"] == "null"
    else:
        assert "null=ABSENT" in str(refusal(optional, {"id": "a", "meta": "null"}).policy)
    required = entity_of(sa.Column("meta", pg.JSONB, nullable=False), null=null)
    assert there_and_back(required, {"id": "a", "meta": "null"})["meta"] == "null"


def test_absence_from_an_index_tells_of_its_only_nullable_column_and_of_no_other() -> None:
    source = table_of(sa.Column("owner", sa.Text), sa.Column("grade", sa.Text, nullable=False))
    indexed = [Item("ROW#{id}", "METADATA", indexes={"GSI1": ("OWNER#{owner}", "GRADE#{grade}")})]
    assert Inverse(entity_of(source=source, items=indexed, attributes=[])).lost == ("grade",)
    kept = entity_of(source=source, items=indexed, attributes=[Attribute("grade", source.c.grade)])
    assert there_and_back(kept, {"id": "a", "owner": None, "grade": "g"})["owner"] is None
    assert there_and_back(kept, {"id": "a", "owner": "o", "grade": "g"})["owner"] == "o"


def test_absence_from_an_index_of_two_nullable_columns_tells_of_neither() -> None:
    indexed = [Item("ROW#{id}", "METADATA", indexes={"GSI1": ("OWNER#{owner}", "GRADE#{grade}")})]
    entity = entity_of(sa.Column("owner", sa.Text), sa.Column("grade", sa.Text), items=indexed, attributes=[])
    assert Inverse(entity).lost == ("owner", "grade")


def test_a_missing_index_key_that_must_be_there_is_not_null() -> None:
    indexed = [Item("ROW#{id}", "METADATA", indexes={"GSI2": ("GRADE#{grade}",)})]
    entity = entity_of(sa.Column("grade", sa.Text, nullable=False), items=indexed, attributes=[])
    (item,) = items_of(entity, {"id": "a", "grade": "g"})
    del item["GSI2PK"]
    with pytest.raises(Undecodable, match="GSI2PK is missing"):
        Inverse(entity).row([item])


def test_a_column_is_taken_from_the_expiry_where_nothing_else_holds_it() -> None:
    source = table_of(sa.Column("until", sa.BigInteger))
    entity = entity_of(source=source, attributes=[], ttl=Expiry(source.c.until))
    assert there_and_back(entity, {"id": "a", "until": 1764412200})["until"] == 1764412200
    assert there_and_back(entity, {"id": "a", "until": None})["until"] is None


def test_an_instants_expiry_is_too_coarse_to_give_it_back() -> None:
    source = table_of(sa.Column("until", sa.DateTime(timezone=True)))
    assert Inverse(entity_of(source=source, attributes=[], ttl=Expiry(source.c.until))).lost == ("until",)


def test_a_conditional_item_gives_nothing_back() -> None:
    source = table_of(sa.Column("note", sa.Text))
    items = [Item("ROW#{id}", "A", attributes=only()), Item("ROW#{id}", "B", when=source.c.note.is_not(None))]
    entity = entity_of(source=source, items=items, attributes=[Attribute("note", source.c.note)])
    assert Inverse(entity).lost == ("note",)


def test_columns_come_from_whichever_item_holds_them() -> None:
    columns = sa.Column("one", sa.Text), sa.Column("two", sa.Text)
    items = [Item("ROW#{id}", "A", attributes=without("two")), Item("ROW#{id}", "B", attributes=only("two"))]
    entity = entity_of(*columns, items=items)
    assert there_and_back(entity, {"id": "a", "one": "1", "two": "2"}) == {"id": "a", "one": "1", "two": "2"}
    with pytest.raises(Undecodable, match="item 1 of the row is missing"):
        Inverse(entity).row(items_of(entity, {"id": "a"})[:1])


def test_generated_and_dropped_columns_are_left_out() -> None:
    columns = sa.Column("gone", sa.Text), sa.Column("made", sa.Text, sa.Computed("upper(id)"))
    source = table_of(*columns)
    entity = entity_of(
        source=source,
        attributes=[Attribute("made", source.c.made)],
        dropped=[source.c.gone],
        items=[Item("R#{id}", "M")],
    )
    assert there_and_back(entity, {"id": "a", "made": "A"}) == {"id": "a"}


def test_an_entity_that_loses_columns_has_no_way_back() -> None:
    entity = entity_of(sa.Column("note", sa.Text), attributes=[])
    with pytest.raises(MappingError, match="no way back: note"):
        Inverse(entity).row(items_of(entity, {"id": "a", "note": "n"}))


def test_a_set_has_no_order_and_a_list_beside_it_keeps_the_arrays() -> None:
    source = table_of(sa.Column("tags", sa.ARRAY(sa.Text)))
    as_set, as_list = Attribute("set", source.c.tags, form=SET), Attribute("list", source.c.tags)
    row = {"id": "a", "tags": ["b", "a"]}
    assert there_and_back(entity_of(source=source, attributes=[as_set]), row)["tags"] == ["a", "b"]
    assert there_and_back(entity_of(source=source, attributes=[as_set, as_list]), row)["tags"] == ["b", "a"]
    both = entity_of(source=source, attributes=[as_set, as_list])
    assert differing_columns(both, row, {"tags": ["a", "b"]}) == ["tags"]


def test_computed_attributes_come_back_through_their_inverse() -> None:
    source = table_of(sa.Column("count", sa.Integer))
    entity = entity_of(source=source, attributes=[Computed("twice", (source.c.count,), doubled, halved)])
    assert there_and_back(entity, {"id": "a", "count": 21})["count"] == 21
    assert there_and_back(entity, {"id": "a", "count": None})["count"] is None
    one_way = entity_of(source=source, attributes=[Computed("twice", (source.c.count,), doubled)])
    assert Inverse(one_way).lost == ("count",)


def refused_value(_value: object) -> tuple[int]:
    raise Unfit("no number of this shop")


def test_an_inverse_may_refuse_a_value_in_words_of_its_own() -> None:
    source = table_of(sa.Column("count", sa.Integer))
    entity = entity_of(source=source, attributes=[Computed("twice", (source.c.count,), doubled, refused_value)])
    with pytest.raises(Undecodable, match="at count: no number of this shop"):
        Inverse(entity).row(items_of(entity, {"id": "a", "count": 1}))


def test_an_inverse_that_fails_is_told_apart_from_a_bug() -> None:
    source = table_of(sa.Column("count", sa.Integer))
    entity = entity_of(source=source, attributes=[Computed("twice", (source.c.count,), doubled, halved)])
    (item,) = items_of(entity, {"id": "a", "count": 1})
    with pytest.raises(Undecodable, match="raised TypeError"):
        Inverse(entity).row([{**item, "twice": {"S": "secret"}}])


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("note", {"N": "1"}, "its type is N, expected S"),
        ("price", {"S": "secret"}, "its type is S, expected N"),
        ("price", {"N": "secret"}, "not a value of kind Numeric"),
        ("Data", {"S": "secret"}, "Data is no Map"),
    ],
)
def test_a_malformed_item_is_named_without_its_value(attribute: str, value: dict[str, Any], reason: str) -> None:
    source = table_of(sa.Column("note", sa.Text), sa.Column("price", sa.Numeric), sa.Column("inside", sa.Text))
    outside = [Attribute(name, source.columns[name]) for name in ("note", "price")]
    entity = entity_of(source=source, attributes=outside, data=[Attribute("inside", source.c.inside)])
    (item,) = items_of(entity, {"id": "a", "note": "n", "price": Decimal(1), "inside": "i"})
    with pytest.raises(Undecodable, match=reason) as caught:
        Inverse(entity).row([{**item, attribute: value}])
    assert "secret" not in str(caught.value)


def test_an_item_of_another_key_is_none_of_the_rows() -> None:
    entity = entity_of(sa.Column("note", sa.Text))
    (item,) = items_of(entity, {"id": "a", "note": "n"})
    with pytest.raises(Undecodable, match="item 0 of the row is missing"):
        Inverse(entity).row([{**item, "PK": {"S": "OTHER#a"}}])
    assert list(claims([entity], {"PK": {"S": "OTHER#a"}, "SK": {"S": "METADATA"}})) == []


def test_one_column_twice_in_a_key_must_say_the_same_twice() -> None:
    entity = entity_of(items=[Item("ROW#{id}", "OF#{id}", data=ALL)])
    assert [claim.row_key for claim in claims([entity], items_of(entity, {"id": "a"})[0])] == [("a",)]
    assert list(claims([entity], {"PK": {"S": "ROW#a"}, "SK": {"S": "OF#b"}})) == []
    assert list(claims([entity], {"PK": {"N": "1"}, "SK": {"S": "OF#b"}})) == []
    numeric = Entity(
        "E",
        sa.Table("source", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True)),
        Table("numbers", N("id")),
        [Item("{id}")],
    )
    assert [claim.row_key for claim in claims([numeric], {"id": {"N": "1.0"}})] == [("1",)]
    assert list(claims([numeric], {"id": {"N": "1.5"}})) == []
    assert list(claims([entity], {"PK": {"S": "ROW#a"}})) == []
