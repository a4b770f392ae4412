"""The compiled encoder by example: which items, which attributes, what is passed over, and why a row is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import (
    NULL,
    SET,
    Attribute,
    Computed,
    Encoder,
    Entity,
    Expiry,
    Index,
    Item,
    N,
    S,
    Table,
    Unfit,
    owned_keys,
)
from tests.unit.mapping.agreement import QUICK, check_paths_agree, wire_item
from tests.unit.mapping.generated_rows import NASTY
from tests.unit.mapping.small import BOUNDS, encoded, entity_of, items_of, refusal, table_of

if TYPE_CHECKING:
    from migrator.mapping import Row, WireItem


def items(entity: Entity, row: Row) -> list[WireItem]:
    """The items of a row, on which both paths must agree."""
    check_paths_agree(entity, [{each.name: row.get(each.name) for each in entity.projection}])
    return list(map(wire_item, encoded(entity, row).items))


@pytest.mark.uncovered
@QUICK
@given(st.lists(st.text(st.sampled_from(NASTY + "\0v0"), min_size=1, max_size=8), min_size=7, max_size=7, unique=True))
def test_any_name_of_anything(names: list[str]) -> None:
    entity_name, partition, sort, index, envelope, inside, outside = names
    table = Table("target", S(partition), S(sort), indexes=(Index("i", S(index)),), envelope=envelope, ttl="ttl")
    literal = outside.replace("{", "{{").replace("}", "}}")
    source = table_of(sa.Column("note", sa.Text), sa.Column("count", sa.Integer))
    entity = Entity(
        entity_name,
        source,
        table,
        [Item(literal + "{id}", literal, indexes={"i": (literal + "{note}",)})],
        attributes=[Attribute(outside, source.c.note, null=NULL)],
        data=[Attribute(inside, source.c.count, null=NULL)],
    )
    (item,) = items(entity, {"id": "a", "note": None, "count": None})
    assert item == {
        partition: {"S": outside + "a"},
        sort: {"S": outside},
        envelope: {"M": {inside: {"NULL": True}}},
        outside: {"NULL": True},
    }
    (item,) = items(entity, {"id": "a", "note": "n", "count": 1})
    assert item[index] == {"S": outside + "n"}


def test_a_row_may_carry_its_key_behind_the_projection() -> None:
    entity = entity_of(sa.Column("note", sa.Text))
    rows = [["a", "n", "key", "more"]]
    assert Encoder(entity, trailing=2).encode(rows).items == encoded(entity, {"id": "a", "note": "n"}).items


def test_the_source_of_an_encoder_can_be_read() -> None:
    source = Encoder(entity_of(sa.Column("note", sa.Text))).source_code
    assert source.startswith("def encode(rows, now, items):")


def test_items_under_a_condition() -> None:
    source = table_of(sa.Column("status", sa.Text))
    main = Item("ROW#{id}", "METADATA")
    entity = entity_of(
        source=source, attributes=[], items=[main, Item("OPEN", "ROW#{id}", when=source.c.status == "open")]
    )
    assert [len(items(entity, {"id": "a", "status": status})) for status in ("open", "done", None)] == [2, 1, 1]
    keys = owned_keys(entity, {"id": "a", "status": "done"})
    assert keys == [{"PK": {"S": "ROW#a"}, "SK": {"S": "METADATA"}}, {"PK": {"S": "OPEN"}, "SK": {"S": "ROW#a"}}]


def test_a_value_that_only_an_unwanted_item_would_hold_does_not_matter() -> None:
    source = table_of(sa.Column("price", sa.Numeric), sa.Column("wanted", sa.Boolean))
    item = Item("ROW#{id}", "METADATA", when=source.c.wanted)
    entity = entity_of(source=source, attributes=[Attribute("price", source.c.price)], items=[item])
    assert items(entity, {"id": "a", "price": Decimal("NaN"), "wanted": False}) == []
    assert refusal(entity, {"id": "a", "price": Decimal("NaN"), "wanted": True}).column == "price"


def test_sparse_indexes_leave_their_keys_out() -> None:
    entity = entity_of(
        sa.Column("owner", sa.Text),
        sa.Column("grade", sa.Text),
        items=[Item("ROW#{id}", "METADATA", indexes={"GSI1": ("O#{owner}", "G#{grade}"), "GSI2": ("G#{grade}",)})],
        attributes=[],
    )
    indexed = {"GSI1PK": {"S": "O#o"}, "GSI1SK": {"S": "G#g"}, "GSI2PK": {"S": "G#g"}}
    for row, names in (
        ({"owner": "o", "grade": "g"}, indexed.keys()),
        ({"owner": None, "grade": "g"}, {"GSI2PK"}),
        ({"owner": "o", "grade": None}, set[str]()),
    ):
        (item,) = items(entity, {"id": "a", **row})
        assert {name: item[name] for name in item if name in indexed} == {name: indexed[name] for name in names}


INVERTED = Table(
    "target",
    S("PK"),
    S("SK"),
    indexes=(
        Index("inverted", S("SK"), S("PK")),
        Index("by-owner", S("owner"), N("at")),
        Index("by-grade", S("grade"), N("at")),
    ),
)


def test_keys_share_an_attribute() -> None:
    entity = entity_of(
        sa.Column("owner", sa.Text),
        sa.Column("grade", sa.Text),
        sa.Column("at", sa.Integer, nullable=False),
        items=[
            Item(
                "ROW#{id}",
                "OWNED",
                indexes={
                    "inverted": ("OWNED", "ROW#{id}"),
                    "by-owner": ("{owner}", "{at}"),
                    "by-grade": ("{grade}", "{at}"),
                },
            )
        ],
        table=INVERTED,
        attributes=[],
    )
    key = {"PK": {"S": "ROW#a"}, "SK": {"S": "OWNED"}}
    for row, indexed in (
        ({"owner": "o", "grade": "g"}, {"owner": {"S": "o"}, "grade": {"S": "g"}, "at": {"N": "5"}}),
        ({"owner": "o", "grade": None}, {"owner": {"S": "o"}, "at": {"N": "5"}}),
        ({"owner": None, "grade": "g"}, {"grade": {"S": "g"}, "at": {"N": "5"}}),
        ({"owner": None, "grade": None}, {}),
    ):
        assert items(entity, {"id": "a", "at": 5, **row}) == [{**key, **indexed}]


def test_expired_rows_are_passed_over_and_counted() -> None:
    source = table_of(sa.Column("until", sa.BigInteger), sa.Column("price", sa.Numeric))
    entity = entity_of(source=source, attributes=[Attribute("price", source.c.price)], ttl=Expiry(source.c.until))
    rows = [{"id": str(until), "until": until, "price": Decimal(1)} for until in (99, 100, 101, None)]
    result = encoded(entity, *rows, now=100)
    assert [json.loads(item)["PK"]["S"] for item in result.items] == ["ROW#101", "ROW#None"]
    assert ["TTL" in json.loads(item) for item in result.items] == [True, False]
    assert (result.expired, result.doubted) == (2, 0)
    for doubtful in ({"id": "a", "until": 99, "price": Decimal("NaN")}, {"id": "a" * 2048, "until": 99}):
        assert encoded(entity, doubtful, now=100).expired == 1
        assert len(encoded(entity, doubtful, now=98).failures) == 1
    assert len(encoded(entity, *rows).items) == 4


@pytest.mark.parametrize("zone", [True, False])
def test_an_instants_expiry_is_cut_to_whole_seconds(zone: bool) -> None:  # noqa: FBT001 - a parameter of the case
    source = table_of(sa.Column("at", sa.DateTime(timezone=zone)))
    entity = entity_of(source=source, attributes=[], ttl=Expiry(source.c.at))
    offset = "+00" if zone else ""
    for text, seconds in (("1970-01-01 00:00:01.999", "1"), ("1969-12-31 23:59:59.5", "-1")):
        (item,) = items(entity, {"id": "a", "at": text + offset})
        assert item["TTL"] == {"N": seconds}
    for text in ("infinity", f"0044-03-15 00:00:00{offset} BC"):
        assert refusal(entity, {"id": "a", "at": text}).column == "at"


def test_null_in_a_not_null_column_is_refused() -> None:
    kinds: dict[str, Any] = {
        "text": sa.Text, "integer": sa.Integer, "boolean": sa.Boolean, "numeric": sa.Numeric, "jsonb": pg.JSONB,
        "bytea": sa.LargeBinary, "timestamptz": sa.DateTime(timezone=True), "date": sa.Date, "uuid": sa.Uuid,
        "array": sa.ARRAY(sa.Text),
    }  # fmt: skip
    for name, column_type in kinds.items():
        entity = entity_of(sa.Column(name, column_type, nullable=False))
        failure = refusal(entity, {"id": "a", name: None})
        assert (failure.column, failure.reason) == (name, "NULL in a column that is NOT NULL in the mapping")


def test_a_function_that_cannot_take_a_value_sets_the_row_aside() -> None:
    source = table_of(sa.Column("note", sa.Text))
    entity = entity_of(source=source, attributes=[Computed("loud", (source.c.note,), str.upper)])
    failure = refusal(entity, {"id": "a", "note": None})
    assert (failure.column, failure.table, failure.key) == ("note", "source", ("a",))
    assert "computed attribute loud raised TypeError" in failure.reason
    assert "None for NULL" in str(failure.next_step)


def refused_text(note: str | None) -> str:
    raise Unfit("a note without a greeting", "Greet first.") if note is None else Unfit(f"a note of {len(note)}")


def test_a_function_may_refuse_a_value_in_words_of_its_own() -> None:
    source = table_of(sa.Column("note", sa.Text))
    entity = entity_of(source=source, attributes=[Computed("kind", (source.c.note,), refused_text)])
    failure = refusal(entity, {"id": "a", "note": None})
    assert (failure.reason, failure.policy) == ("a note without a greeting", "Greet first.")


def test_a_function_that_gives_what_no_document_has_sets_the_row_aside() -> None:
    source = table_of(sa.Column("price", sa.Numeric))
    entity = entity_of(source=source, attributes=[Computed("half", (source.c.price,), float)])
    assert refusal(entity, {"id": "a", "price": Decimal(1)}).reason == "a float in a JSON document"


def test_failed_rows_are_given_back_in_the_order_of_their_failures() -> None:
    entity = entity_of(sa.Column("price", sa.Numeric))
    prices = ("NaN", "1", "Infinity", "1E+40", "1E+126")
    result = encoded(entity, *({"id": price, "price": Decimal(price)} for price in prices))
    assert [failure.key for failure in result.failures] == [("NaN",), ("Infinity",), ("1E+126",)]
    assert [values[0] for values in result.failed] == ["NaN", "Infinity", "1E+126"]
    assert (len(result.items), result.doubted) == (2, 3)


def test_arrays_with_lower_bounds_are_refused_with_the_policy() -> None:
    entity = entity_of(sa.Column("tags", sa.ARRAY(sa.Text)))
    row = {"id": "a", "tags": ["x", "y"]}
    assert len(items(entity, {**row, "tags" + BOUNDS: "[1:2]"})) == 1
    for bounds in ("[0:1]", "[1:1][2:3]"):
        failure = refusal(entity, {**row, "tags" + BOUNDS: bounds})
        assert failure.column == "tags"
        assert "form=TEXT" in str(failure.policy)


@pytest.mark.parametrize(
    ("element", "value", "found"),
    [
        (sa.Text, ["a", None], [{"S": "a"}, {"NULL": True}]),
        (sa.Integer, [1, None], [{"N": "1"}, {"NULL": True}]),
        (sa.Numeric, [Decimal("0E-8"), None], [{"N": "0"}, {"NULL": True}]),
        (sa.Boolean, [True, None], [{"BOOL": True}, {"NULL": True}]),
        (pg.JSONB, ["[1]", None], [{"L": [{"N": "1"}]}, {"NULL": True}]),
        (sa.Date, [], []),
    ],
)
def test_null_in_an_array_leaves_no_doubt(element: Any, value: list[object], found: list[object]) -> None:  # noqa: ANN401 - SQLAlchemy's types
    result = encoded(entity_of(sa.Column("values", sa.ARRAY(element))), {"id": "a", "values": value})
    assert (json.loads(result.items[0])["values"], result.doubted) == ({"L": found}, 0)


def test_an_array_in_several_dimensions_takes_the_readable_path() -> None:
    entity = entity_of(sa.Column("values", sa.ARRAY(sa.Integer)))
    row = {"id": "a", "values": [[1, 2], [None, 4]], "values" + BOUNDS: "[1:2][1:2]"}
    assert encoded(entity, row).doubted == 1
    (item,) = items(entity, row)
    assert item["values"]["L"][1] == {"L": [{"NULL": True}, {"N": "4"}]}
    documents = entity_of(sa.Column("values", sa.ARRAY(pg.JSONB)))
    for value, reason in (([["1"]], "several dimensions"), (["null"], "JSON null in an array")):
        assert reason in refusal(documents, {"id": "a", "values": value}).reason


@pytest.mark.parametrize(
    ("element", "members", "found"),
    [
        (sa.Text, ["b", ""], {"SS": ["", "b"]}),
        (sa.Integer, [10, 9], {"NS": ["10", "9"]}),
        (sa.Numeric, [Decimal("1.50")], {"NS": ["1.50"]}),
        (sa.LargeBinary, [b"\xff", b"\x00"], {"BS": ["/w==", "AA=="]}),
        (sa.Date, ["2025-11-29"], {"SS": ["2025-11-29"]}),
    ],
)
def test_sets(element: Any, members: list[object], found: dict[str, list[str]]) -> None:  # noqa: ANN401 - SQLAlchemy's types
    source = table_of(sa.Column("tags", sa.ARRAY(element)))
    entity = entity_of(source=source, attributes=[Attribute("tags", source.c.tags, form=SET)])
    (item,) = items_of(entity, {"id": "a", "tags": members})
    assert item["tags"] == found
    items(entity, {"id": "a", "tags": members})
    for refused in ([], [*members, None], [*members, members[0]], [members]):
        assert "without form=SET" in str(refusal(entity, {"id": "a", "tags": refused}).policy)


def test_an_empty_envelope_is_an_empty_map() -> None:
    source = table_of(sa.Column("note", sa.Text))
    entity = entity_of(source=source, attributes=[], data=[Attribute("note", source.c.note)])
    (item,) = items(entity, {"id": "a", "note": None})
    assert item["Data"] == {"M": {}}


@pytest.mark.parametrize(
    ("column_type", "value", "number"),
    [
        (sa.Numeric, Decimal("0E-8"), "0"),
        (sa.Numeric, Decimal("1E-8"), "1E-8"),
        (sa.Numeric, Decimal("12345678901234567890.123456789012345678"), "12345678901234567890.123456789012345678"),
        (sa.Numeric, Decimal("-0"), "0"),
        (sa.Double, 1e-05, "0.00001"),
        (sa.Double, 1e22, "1E+22"),
        (sa.Double, -0.0, "0"),
        (sa.Double, 0.1, "0.1"),
    ],
)
def test_numbers_with_and_without_exponents_leave_no_doubt(column_type: Any, value: object, number: str) -> None:  # noqa: ANN401 - SQLAlchemy's types
    entity = entity_of(sa.Column("number", column_type))
    result = encoded(entity, {"id": "a", "number": value})
    assert json.loads(result.items[0])["number"] == {"N": number}
    assert result.doubted == 0


def test_json_of_any_writing_leaves_no_doubt() -> None:
    entity = entity_of(sa.Column("meta", sa.JSON))
    text = ' { "a" : [ 1e5, -0, -0.5 ], "b":"\\u00e9 \\ud83d\\ude80" } '
    result = encoded(entity, {"id": "a", "meta": text})
    assert json.loads(result.items[0])["meta"] == {
        "M": {"a": {"L": [{"N": "1E+5"}, {"N": "0"}, {"N": "-0.5"}]}, "b": {"S": "\u00e9 \U0001f680"}}
    }
    assert result.doubted == 0
