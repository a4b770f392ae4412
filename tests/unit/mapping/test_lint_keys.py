"""Lint of keys: each finding says what is wrong and what to change."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import Attribute, B, Entity, Index, Item, KeyAttribute, N, S, Table
from tests.unit.mapping.small import entity_of, errors, table_of

REQUIRED: dict[str, Any] = {"nullable": False}


def key_errors(
    *columns: sa.Column[Any], key: tuple[str, str], indexes: dict[str, tuple[str, ...]] | None = None
) -> list[str]:
    entity = entity_of(*columns, items=[Item(*key, indexes=indexes or {})])
    return errors(entity)


def test_an_unknown_column() -> None:
    assert key_errors(key=("A#{ident}", "M")) == ["source has no column ident. It has: id."]


def test_a_nullable_column_in_a_key() -> None:
    assert key_errors(sa.Column("note", sa.Text), key=("A#{id}", "{note}")) == [
        (
            "Item 0: column note in key '{note}' can be NULL, and a key cannot. "
            "Use a NOT NULL column, or make the column NOT NULL."
        )
    ]


@pytest.mark.parametrize(
    ("key", "held"),
    [
        (("A", "M"), "no column"),
        (("A#{note}", "M"), "note"),
        (("A#{at}", "{note}"), "note"),
    ],
)
def test_two_rows_that_collide(key: tuple[str, str], held: str) -> None:
    sentence, lost = key_errors(
        sa.Column("note", sa.Text, **REQUIRED), sa.Column("at", sa.DateTime(timezone=True), **REQUIRED), key=key
    )
    assert lost.startswith("Column id cannot be recovered")
    assert f"two rows can have the key '{' / '.join(key)}': it holds {held} whole" in sentence
    assert "neither the primary key (id) nor declared unique. Add the missing columns to a template" in sentence


def test_an_instant_identifies_at_the_precision_of_its_type_alone() -> None:
    at = sa.Column("at", sa.DateTime(timezone=True), primary_key=True)
    assert "it holds id whole" in key_errors(at, key=("A#{id}", "{at}"))[0]
    assert (
        key_errors(sa.Column("at", sa.DateTime(timezone=True), primary_key=True), key=("A#{id}", "{at:micros}")) == []
    )


def identified(source: sa.Table, **changes: Any) -> Entity:  # noqa: ANN401 - Entity's own fields
    """An entity whose key holds the column `note` and not the primary key."""
    return entity_of(
        source=source, items=[Item("NOTE#{note}", "M")], attributes=[Attribute("ident", source.c.id)], **changes
    )


def noted(*, unique: bool = False) -> sa.Table:
    return table_of(sa.Column("note", sa.Text, nullable=False, unique=unique))


def test_a_unique_set_identifies_a_row() -> None:
    assert "two rows can have the key" in errors(identified(noted()))[0]
    assert errors(identified(noted(unique=True))) == []
    source = noted()
    assert errors(identified(source, unique=[(source.c.note,)])) == []
    source.append_constraint(sa.UniqueConstraint("note"))
    assert errors(identified(source)) == []


def test_a_nullable_unique_constraint_does_not_identify_a_row() -> None:
    source = table_of(sa.Column("note", sa.Text, unique=True))
    found = errors(entity_of(source=source, items=[Item("NOTE#{note}", "M")], attributes=[], dropped=[source.c.id]))
    assert any("two rows can have the key" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("template", "column"),
    [("{note}#{id}", "note"), ("{note:escape}{id}", "note"), ("{note:escape}A{id}", "note"), ("{count}{id}", "count")],
)
def test_a_template_that_cannot_be_inverted(template: str, column: str) -> None:
    found = key_errors(
        sa.Column("note", sa.Text, **REQUIRED), sa.Column("count", sa.Integer, **REQUIRED), key=(template, "M")
    )
    assert (
        f"Item 0: '{template}' cannot be read back: where {column} ends cannot be told. "
        f"Write {{{column}:escape}} and put '#' behind it, or move it to the end of the template."
    ) in found


def several() -> list[sa.Column[Any]]:
    columns: dict[str, Any] = {
        "count": sa.Integer,
        "label": sa.Enum("b", "a", name="label"),
        "note": sa.Text,
        "address": pg.INET,
    }
    return [sa.Column(name, column_type, nullable=False) for name, column_type in columns.items()]


@pytest.mark.parametrize(
    ("template", "advice"),
    [
        ("{count}", "Pad it, as in {count:012}, or write {count:unordered} where the order does not matter."),
        ("{label}", "Use another column, or write {label:unordered} where"),
        ("{note:escape}|", "Write {note:escape} and put '#' behind it, or write {note:escape,unordered} where"),
        ("{address}", "Use another column, or write {address:unordered} where"),
    ],
)
def test_key_text_whose_order_is_not_its_values_order(template: str, advice: str) -> None:
    for found in (
        key_errors(*several(), key=("A#{id}", template)),
        key_errors(*several(), key=("A#{id}", "M"), indexes={"GSI1": ("A", template)}),
    ):
        (sentence,) = found
        assert f"in sort key '{template}' does not sort as its values do. {advice}" in sentence


def test_a_partition_key_needs_no_order() -> None:
    assert key_errors(sa.Column("count", sa.Integer, **REQUIRED), key=("A#{count}#{id}", "M")) == []


@pytest.mark.parametrize(
    ("attribute", "template"),
    [(N("PK"), "A#{number}"), (N("PK"), "{id}"), (B("PK"), "{number}"), (N("PK"), "fixed"), (B("PK"), "{id}")],
)
def test_a_wrong_key_attribute_type(attribute: KeyAttribute, template: str) -> None:
    source = table_of(sa.Column("number", sa.Integer, primary_key=True))
    entity = Entity("E", source, Table("target", attribute, S("SK")), [Item(template, "{id}#{number:012}")])
    found = [sentence for sentence in errors(entity) if "key attribute PK" in sentence]
    assert found[0].startswith(f"Item 0: key attribute PK has type {attribute.type}, which '{template}' does not give.")
    assert "declare PK as a String" in found[0]


@pytest.mark.parametrize(
    ("column_type", "spec"), [(sa.Numeric, ""), (sa.LargeBinary, ""), (sa.DateTime(timezone=True), ":epoch")]
)
def test_a_column_without_text_in_a_key_of_type_string(column_type: Any, spec: str) -> None:  # noqa: ANN401 - SQLAlchemy's types
    (sentence,) = key_errors(sa.Column("value", column_type, **REQUIRED), key=("A#{id}", f"{{value{spec}}}"))
    assert "in '{value" in sentence
    assert "has no text form for a key of type String. Declare SK with another type, or use another column." in sentence


@pytest.mark.parametrize("column_type", [pg.JSONB, sa.Double, sa.ARRAY(sa.Text)])
def test_a_column_without_key_text(column_type: Any) -> None:  # noqa: ANN401 - SQLAlchemy's types
    (sentence,) = key_errors(sa.Column("value", column_type, **REQUIRED), key=("A#{id}", "{value}"))
    assert "column value in the key template '{value}'" in sentence
    assert "has no key text. Use another column, or store this one with form=TEXT." in sentence


@pytest.mark.parametrize("key", [("", "{id}"), ("{id}", "")])
def test_an_empty_template(key: tuple[str, str]) -> None:
    (sentence,) = key_errors(key=key)
    assert "is empty, and a key cannot be. Write a literal or a field." in sentence


@pytest.mark.parametrize(("limit", "position"), [(2048, 0), (1024, 1)])
def test_a_template_that_no_key_has_room_for(limit: int, position: int) -> None:
    for literal, problems in (("\u00e9" * (limit // 2 - 18), 0), ("\u00e9" * (limit // 2 - 17), 1)):
        key = ["{id}", "{id}"]
        key[position] = literal + "{uuid}"
        found = key_errors(sa.Column("uuid", sa.Uuid, **REQUIRED), key=(key[0], key[1]))
        assert len(found) == problems
        assert all(f"holds {limit}. Shorten it." in sentence for sentence in found)


@pytest.mark.parametrize(
    ("templates", "sentence"),
    [
        (("A#{id}", None), "item 0 gives 1 key templates for table target, whose key has 2 attributes"),
        (("A#{id", "M"), "the key template 'A#{id' is malformed"),
        (("A#{id:012}", "M"), "'012' in the key template 'A#{id:012}' does not fit column id of kind Text"),
    ],
)
def test_a_template_that_cannot_be_bound(templates: tuple[str, str | None], sentence: str) -> None:
    (found,) = errors(entity_of(items=[Item(templates[0], templates[1])]))
    assert found.startswith(sentence)
    assert ". " in found


def test_an_index_that_the_table_does_not_have() -> None:
    (sentence,) = key_errors(key=("A#{id}", "M"), indexes={"GSI9": ("A", "B")})
    assert sentence == "item 0 names index GSI9, which table target does not have. It has: GSI1, GSI2."


def test_too_few_templates_for_an_index() -> None:
    (sentence,) = key_errors(key=("A#{id}", "M"), indexes={"GSI1": ("A",)})
    assert sentence == (
        "item 0 gives 1 key templates for index GSI1, whose key has 2 attributes. "
        "Give one template for each key attribute."
    )


def test_a_key_attribute_with_two_templates() -> None:
    table = Table("target", S("PK"), S("SK"), indexes=(Index("inverted", S("SK"), S("PK")),))
    entity = Entity("E", table_of(), table, [Item("A#{id}", "M", indexes={"inverted": ("M", "B#{id}")})])
    assert errors(entity) == [
        (
            "item 0 gives key attribute PK two templates, 'A#{id}' and 'B#{id}'. "
            "Give it the same template in every key that it is part of."
        )
    ]


def test_the_key_of_every_item_is_looked_at() -> None:
    entity = entity_of(items=[Item("A#{id}", "M"), Item("B", "M")])
    (sentence,) = errors(entity)
    assert sentence.startswith("Item 1: two rows can have the key 'B / M'")
