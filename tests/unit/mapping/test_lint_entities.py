"""Lint of entities and tables: each finding says what is wrong and what to change."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import (
    EPOCH,
    SET,
    TEXT,
    Attribute,
    Computed,
    Counted,
    Embedded,
    Entity,
    Expiry,
    Index,
    Item,
    Large,
    Model,
    N,
    Provisioned,
    S,
    Table,
    lint,
    only,
)
from tests.unit.mapping.small import ITEM, TABLE, entity_of, errors, table_of

NOTE = table_of(sa.Column("note", sa.Text), sa.Column("meta", pg.JSONB), sa.Column("tags", sa.ARRAY(sa.Boolean)))
OTHER = table_of(sa.Column("note", sa.Text), sa.Column("parent", sa.Text), name="other")
KEPT = [Attribute(name, NOTE.columns[name]) for name in ("note", "meta", "tags")]


def noted(*attributes: Any, **changes: Any) -> Entity:  # noqa: ANN401 - Entity's own fields
    return entity_of(source=NOTE, attributes=[*attributes, *KEPT], **changes)


def test_a_sound_entity_has_no_findings() -> None:
    assert errors(noted()) == []


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        (
            Embedded("child", OTHER, {OTHER.c.parent: NOTE.c.id}, (Attribute("note", OTHER.c.note),)),
            "attribute child is an aggregate, and aggregates are not built yet. Leave it out of the mapping for now.",
        ),
        (
            Counted("count", OTHER, {OTHER.c.parent: NOTE.c.id}),
            "attribute count is an aggregate, and aggregates are not built yet. Leave it out of the mapping for now.",
        ),
        (
            Attribute("large", NOTE.c.note, large=Large.S3),
            (
                "attribute large is declared large=S3, which is not built yet. "
                "Leave `large` out; a row whose item exceeds 400 KB is set aside."
            ),
        ),
        (
            Attribute("foreign", OTHER.c.note),
            "attribute foreign uses column other.note, which is not of source. Use a column of source.",
        ),
        (
            Computed("foreign", (OTHER.c.note,), str),
            "attribute foreign uses column other.note, which is not of source. Use a column of source.",
        ),
        (
            Attribute("seconds", NOTE.c.note, form=EPOCH),
            (
                "attribute seconds: form=EPOCH does not fit a column of kind Text. "
                "Leave `form` out for the natural form, or use form=TEXT to store what PostgreSQL prints."
            ),
        ),
        (
            Attribute("flags", NOTE.c.tags, form=SET),
            (
                "attribute flags: form=SET does not fit a column of kind Array. "
                "Leave `form` out for the natural form, or use form=TEXT to store what PostgreSQL prints."
            ),
        ),
        (
            Attribute("text", NOTE.c.tags, form=TEXT),
            (
                "attribute tags stores column tags in another form than form=TEXT, which another attribute gives it. "
                "Give both attributes the same form."
            ),
        ),
        (
            Attribute("half \ud800", NOTE.c.note),
            (
                "the name 'half \\ud800' holds half of a surrogate pair, which is no Unicode character. "
                "Write the whole character."
            ),
        ),
    ],
    ids=["embedded", "counted", "large", "foreign", "foreign computed", "epoch", "set", "two forms", "surrogate"],
)
@pytest.mark.parametrize("selected", [True, False])
def test_an_attribute_that_cannot_be_bound(member: Any, sentence: str, selected: bool) -> None:  # noqa: ANN401, FBT001 - a member; a parameter of the case
    items = [ITEM] if selected else [replace(ITEM, attributes=only("note", "meta", "tags"))]
    assert errors(noted(member, items=items)) == [sentence]


def test_a_type_without_a_natural_form() -> None:
    entity = entity_of(sa.Column("pairs", pg.HSTORE))
    assert errors(entity) == [
        (
            "column source.pairs: columns of type HSTORE have no natural form in DynamoDB. "
            "Declare the attribute with form=TEXT to store what PostgreSQL prints."
        )
    ]
    source = table_of(sa.Column("pairs", pg.HSTORE))
    assert errors(entity_of(source=source, attributes=[Attribute("pairs", source.c.pairs, form=TEXT)])) == []


def test_write_sharding_is_not_built_yet() -> None:
    assert errors(noted(items=[replace(ITEM, shards=8)])) == [
        "item 0 is declared with shards, and write sharding is not built yet. Leave `shards` out of the item for now."
    ]


@pytest.mark.parametrize("changes", [{"dropped": [OTHER.c.note]}, {"unique": [(OTHER.c.note,)]}])
def test_a_column_of_another_table_is_dropped_or_unique(changes: dict[str, Any]) -> None:
    assert errors(noted(**changes)) == [
        "`dropped` or `unique` uses column other.note, which is not of source. Use a column of source."
    ]


def test_only_the_first_contradiction_of_an_entity_is_told() -> None:
    assert len(errors(noted(Attribute("foreign", OTHER.c.note), items=[replace(ITEM, shards=8)]))) == 1


@pytest.mark.parametrize("name", ["PK", "SK", "GSI1PK", "GSI2PK", "TTL", "Type", "Data", "_v", "_del"])
def test_a_reserved_attribute(name: str) -> None:
    assert errors(noted(Attribute(name, NOTE.c.note))) == [
        f"Attribute {name} has a name that is reserved or that the table uses otherwise. Rename it."
    ]
    assert errors(noted(data=[Attribute(name, NOTE.c.note)])) == []


def test_attributes_of_one_name() -> None:
    twice = [Attribute("twin", NOTE.c.note), Attribute("twin", NOTE.c.meta)]
    assert errors(noted(*twice)) == ["2 attributes are called twin. Give each a name of its own."]
    assert errors(noted(data=twice)) == ["2 attributes are called twin. Give each a name of its own."]
    assert errors(noted(twice[0], data=twice[1:])) == []


@pytest.mark.parametrize(("name", "size"), [("", 0), ("\u00e9" * 32_768, 65_536)])
def test_the_length_of_an_attributes_name(name: str, size: int) -> None:
    assert errors(noted(Attribute(name, NOTE.c.note))) == [f"An attribute has a name of {size} bytes. Use 1 to 65535."]


def test_a_selection_of_what_is_not_declared() -> None:
    items = [replace(ITEM, data=only("ghost"))]
    assert errors(noted(items=items)) == [
        "Item 0 selects attribute ghost, which is not declared. Declare it, or correct the name."
    ]


def test_an_attribute_in_no_item() -> None:
    entity = noted(items=[replace(ITEM, attributes=only("note", "meta"))])
    assert errors(entity) == [
        "Attribute tags is in no item. Select it in one, or remove it.",
        (
            "Column tags cannot be recovered from the items. Store it whole in an unconditional item, "
            "or list it in `dropped` to give it up on the way back."
        ),
    ]


def test_data_in_no_item() -> None:
    entity = noted(data=[Attribute("inner", NOTE.c.note)], items=[replace(ITEM, data=only())])
    assert errors(entity) == ["Attribute inner is in no item. Select it in one, or remove it."]


def test_a_lost_column() -> None:
    entity = entity_of(source=NOTE, attributes=KEPT[:2])
    assert errors(entity) == [
        (
            "Column tags cannot be recovered from the items. Store it whole in an unconditional item, "
            "or list it in `dropped` to give it up on the way back."
        )
    ]
    assert errors(entity_of(source=NOTE, attributes=KEPT[:2], dropped=[NOTE.c.tags])) == []


def test_data_without_an_envelope() -> None:
    table = replace(TABLE, envelope=None)
    assert errors(noted(table=table, data=[Attribute("inner", NOTE.c.note)])) == [
        "It lists `data`, and table target has no envelope. List the attributes in `attributes`, or name an envelope."
    ]


def test_no_items() -> None:
    assert errors(noted(items=[])) == ["It has no items. Give it at least one Item."]


def test_no_primary_key() -> None:
    source = sa.Table("source", sa.MetaData(), sa.Column("id", sa.Text, nullable=False, unique=True))
    assert errors(entity_of(source=source, attributes=[])) == [
        "source has no primary key. Give it one: rows are read in key order and named by key."
    ]


@pytest.mark.parametrize(
    ("column_type", "after", "sentence"),
    [
        (sa.Text, timedelta(0), "Its ttl is computed from column until, which is neither an integer nor an instant. "),
        (sa.Date, timedelta(0), "Its ttl is computed from column until, which is neither an integer nor an instant. "),
        (sa.BigInteger, timedelta(seconds=1.5), "Its ttl is `after` a fraction of a second. Use whole seconds: "),
    ],
)
def test_a_ttl_that_is_no_unix_time(column_type: Any, after: timedelta, sentence: str) -> None:  # noqa: ANN401 - SQLAlchemy's types
    source = table_of(sa.Column("until", column_type))
    attributes = [Attribute("until", source.c.until)]
    (found,) = errors(entity_of(source=source, attributes=attributes, ttl=Expiry(source.c.until, after)))
    assert found.startswith(sentence)


def test_a_ttl_without_an_attribute() -> None:
    source = table_of(sa.Column("until", sa.BigInteger))
    entity = entity_of(
        source=source,
        attributes=[Attribute("until", source.c.until)],
        ttl=Expiry(source.c.until),
        table=replace(TABLE, ttl=None),
    )
    assert errors(entity) == [
        "It declares a ttl, and table target names no TTL attribute. Name one in the table's `ttl`."
    ]


def test_a_function_whose_source_cannot_be_read() -> None:
    (sentence,) = errors(noted(Computed("loud", (NOTE.c.note,), str.upper)))
    assert sentence.startswith("the source text of a function of computed attribute loud cannot be read")
    assert sentence.endswith("Define the function in a module, with def or lambda.")


def test_a_secret_without_a_key_is_a_warning() -> None:
    entity = noted(Attribute("token", NOTE.c.note, encrypted=True))
    (problem,) = lint(Model("model", [entity]))
    assert (problem.severity, problem.where) == ("warning", "ENTITY")
    assert problem.sentence == (
        "Attribute token is declared encrypted, and no data key is configured: it is stored as the source has it."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "my table"}, "DynamoDB does not allow the table name 'my table'. Use 3 to 255 letters"),
        ({"name": "ab"}, "DynamoDB does not allow the table name 'ab'. Use 3 to 255 letters"),
        (
            {"indexes": (Index("by owner", S("owner")),)},
            "DynamoDB does not allow the index name 'by owner'. Use 3 to 255 letters",
        ),
        (
            {"indexes": (Index("twin", S("a")), Index("twin", S("b")))},
            "2 indexes are called twin. Give each a name of its own.",
        ),
        (
            {"indexes": tuple(Index(f"index-{number}", S("a")) for number in range(21))},
            "It has 21 indexes, DynamoDB allows 20 by default. Remove some.",
        ),
        (
            {"indexes": (Index("narrow", S("a"), projection=tuple(f"a{number}" for number in range(21))),)},
            'Index narrow projects 21 attributes by name, DynamoDB allows 20. Name fewer, or project "ALL".',
        ),
        ({"sort_key": S("PK")}, "Its key names PK as partition key and as sort key. Name two attributes."),
        (
            {"indexes": (Index("twin", S("a"), S("a")),)},
            "Index twin names a as partition key and as sort key. Name two attributes.",
        ),
        (
            {"indexes": (Index("numeric", N("PK")),)},
            "Key attribute PK is declared with the types N and S. Declare it with one type",
        ),
        ({"partition_key": S("")}, "Key attribute '' has a name of 0 bytes. Use 1 to 255."),
        ({"sort_key": S("\u00e9" * 128)}, f"Key attribute '{chr(233) * 128}' has a name of 256 bytes. Use 1 to 255."),
        (
            {"sort_key": S("_v")},
            "Key attribute _v has a name that is reserved or used otherwise. Choose another name.",
        ),
        (
            {"sort_key": S("TTL")},
            "Key attribute TTL has a name that is reserved or used otherwise. Choose another name.",
        ),
        ({"envelope": "_del"}, "Attribute _del is reserved or used twice. Choose another name."),
        ({"envelope": "TTL"}, "Attribute TTL is reserved or used twice. Choose another name."),
        ({"discriminator": ""}, "Attribute '' has a name of 0 bytes. Use 1 to 255."),
        ({"envelope": "\ud800"}, "The name '\\ud800' holds half of a surrogate pair"),
        (
            {"billing": Provisioned(0, 5)},
            "Its provisioned throughput is below 1. Give at least one read and one write capacity unit.",
        ),
    ],
)
def test_a_table_that_dynamodb_would_not_create(changes: dict[str, Any], sentence: str) -> None:
    table = (
        replace(TABLE, indexes=(), **{"sort_key": S("SK"), **changes})
        if "indexes" not in changes
        else replace(TABLE, **changes)
    )
    found = [p for p in lint(Model("model", [noted(table=table)])) if p.where == f"table {table.name}"]
    assert len(found) == 1
    assert found[0].sentence.startswith(sentence)
    assert found[0].severity == "error"


def test_a_table_of_every_kind_is_passed() -> None:
    table = Table("abc", N("n"), indexes=(Index("i-1", S("a"), N("n"), projection=("x",)),), billing=Provisioned(1, 1))
    source = sa.Table("source", sa.MetaData(), sa.Column("n", sa.Integer, primary_key=True))
    assert errors(Entity("E", source, table, [Item("{n}", indexes={"i-1": ("A", "{n}")})])) == []
