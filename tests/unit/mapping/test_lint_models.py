"""Lint of what entities have in common: names, tables, keys that two of them can have, and access patterns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from mappings.miyabi import MODEL
from migrator.mapping import Entity, Get, Index, Item, Model, N, Query, S, Table, lint
from tests.unit.mapping.small import TABLE, entity_of, errors, table_of


def named(name: str, *items: Item, **changes: Any) -> Entity:  # noqa: ANN401 - Entity's own fields
    return entity_of(name=name, source=table_of(name=name.lower()), attributes=[], items=items, **changes)


def sentences(model: Model) -> list[str]:
    return [problem.sentence for problem in lint(model)]


def test_a_model_without_entities() -> None:
    assert sentences(Model("model", [])) == ["It has no entities. List them in `entities`."]


def test_entities_of_one_name() -> None:
    one, other = named("ONE", Item("A#{id}", "M")), named("TWO", Item("B#{id}", "M"))
    assert errors(one, replace(other, name="ONE")) == [
        "2 entities are called ONE. Give each a name of its own: items are told apart by it."
    ]


def test_entities_of_one_source() -> None:
    one = named("ONE", Item("A#{id}", "M"))
    assert errors(one, replace(one, name="TWO", items=[Item("B#{id}", "M")])) == [
        "2 entities have the source one. Declare all items of its rows in one entity."
    ]


def test_a_table_declared_twice() -> None:
    one = named("ONE", Item("A#{id}", "M"))
    other = named("TWO", Item("A#{id}"), table=replace(TABLE, sort_key=None, indexes=()))
    assert errors(one, other) == ["Table target is declared twice, and differently. Declare it once and share it."]
    assert errors(one, named("TWO", Item("B#{id}", "M"), table=replace(TABLE))) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Item("USER#{id}", "METADATA"), Item("USER#{id}", "METADATA")),
        (Item("USER#{id}", "METADATA"), Item("USER#A#{id}", "{id}")),
        (Item("{id}", "METADATA"), Item("USER#{id}", "METADATA")),
        (Item("A#{id:escape}#B", "M"), Item("A#{id}", "M")),
    ],
)
def test_two_entities_that_collide(one: Item, other: Item) -> None:
    (sentence,) = errors(named("ONE", one), named("TWO", other))
    assert sentence == (
        f"Item 0 ({one.partition_key} / {one.sort_key}) and TWO's item 0 ({other.partition_key} / {other.sort_key}) "
        "can have the same key. Begin one of the templates with a literal that the other cannot begin with."
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Item("USER#{id}", "METADATA"), Item("USER#{id}", "PROFILE")),
        (Item("USER#{id}", "METADATA"), Item("REPO#{id}", "METADATA")),
        (Item("A#{id:escape}#B", "M"), Item("A#{id:escape}#C", "M")),
    ],
)
def test_two_entities_that_do_not_collide(one: Item, other: Item) -> None:
    assert errors(named("ONE", one), named("TWO", other)) == []
    assert errors(named("ONE", one), named("TWO", one, table=replace(TABLE, name="another"))) == []


def test_two_items_of_one_entity_that_collide() -> None:
    (sentence,) = errors(named("ONE", Item("A#{id}", "M"), Item("A#{id}", "{id}")))
    assert "Item 0 (A#{id} / M) and its own item 1 (A#{id} / {id}) can have the same key." in sentence


def test_numeric_keys_are_taken_to_collide() -> None:
    table = Table("numbers", N("id"))
    one, other = (
        Entity(
            name, sa.Table(name, sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True)), table, [Item("{id}")]
        )
        for name in ("one", "two")
    )
    assert "can have the same key" in errors(one, other)[0]


USER = named("USER", Item("USER#{id}", "METADATA", indexes={"GSI1": ("KIND", "USER#{id}")}))


def owned(name: str, sort_key: str, **indexes: tuple[str, ...]) -> Entity:
    source = sa.Table(
        name.lower(),
        sa.MetaData(),
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
    )
    return Entity(name, source, TABLE, [Item("USER#{owner}", sort_key, indexes=indexes)])


def test_patterns_of_one_id() -> None:
    patterns = [Get("AP1", "a user", USER), Get("AP1", "a user", USER)]
    assert errors(USER, patterns=patterns) == ["2 access patterns have the id AP1. Give each an id of its own."]


def test_a_pattern_of_an_entity_that_is_not_in_the_model() -> None:
    other = named("OTHER", Item("OTHER#{id}", "M"))
    assert errors(USER, patterns=[Get("AP1", "another", other)]) == [
        "It reads OTHER, which is not an entity of the model. Add it to `entities`."
    ]


@pytest.mark.parametrize("item", [1, -1])
def test_a_pattern_of_an_item_that_is_not_there(item: int) -> None:
    (sentence,) = errors(USER, patterns=[Get("AP1", "a user", USER, item=item)])
    assert sentence.startswith(f"access pattern AP1 reads item {item} of USER, which has 1. Name one of the entity's")


def test_a_pattern_of_an_index_that_the_item_is_not_in() -> None:
    (sentence,) = errors(USER, patterns=[Query("AP1", "users", USER, index="GSI2")])
    assert sentence.endswith("which item 0 of USER is not in. Give the item the index's keys, or read another item.")


def test_a_query_that_finds_more_than_it_asks_for() -> None:
    repo, log = owned("REPO", "REPO#{id}"), owned("LOG", "REPO:LOG#{id}")
    assert errors(USER, repo, log, patterns=[Query("AP2", "a user's repositories", repo)]) == []
    broad = owned("REPO", "REPO{id:escape}#")
    for other in (owned("LOG", "REPO:LOG#{id}"), owned("LOG", "RE{id}#LOG")):
        found = errors(USER, broad, other, patterns=[Query("AP2", "a user's repositories", broad)])
        assert found[-1].startswith("Its Query can also find LOG's item 0. Begin its sort key with a literal that")


def test_a_query_of_an_index_finds_what_stands_in_the_index() -> None:
    all_of_a_kind = Query("AP9", "all users", USER, index="GSI1")
    apart = owned("REPO", "REPO#{id}", GSI1=("KIND", "REPO#{id}"))
    assert errors(USER, apart, patterns=[all_of_a_kind]) == []
    elsewhere = owned("REPO", "REPO#{id}", GSI2=("KIND",))
    assert errors(USER, elsewhere, patterns=[all_of_a_kind]) == []
    among = owned("REPO", "REPO#{id}", GSI1=("KIND", "USER#REPO#{id}"))
    assert "can also find REPO's item 0" in errors(USER, among, patterns=[all_of_a_kind])[0]


def test_an_item_is_in_an_index_of_the_tables_own_attributes_without_saying_so() -> None:
    table = Table("target", S("PK"), S("SK"), indexes=(Index("inverted", S("SK"), S("PK")),))
    tagged = named("TAG", Item("TAG#{id}", "ALL", indexes={"inverted": ("ALL", "TAG#{id}")}), table=table)
    other = named("OTHER", Item("TAG:{id}", "ALL"), table=table)
    query = Query("AP1", "all tags", tagged, index="inverted")
    assert errors(tagged, other, patterns=[query]) == []
    other = named("OTHER", Item("TAG#OTHER#{id:escape}#", "ALL"), table=table)
    found = errors(tagged, other, patterns=[query])
    assert any("can also find OTHER's item 0" in sentence for sentence in found)


def test_an_entity_that_cannot_be_bound_does_not_hide_the_rest() -> None:
    broken = named("BROKEN", Item("A#{ident}", "M"))
    patterns = [Get("AP1", "broken", broken), Get("AP2", "a user", USER, item=5)]
    found = lint(Model("model", [broken, USER], patterns))
    assert [problem.where for problem in found] == ["BROKEN", "access pattern AP2"]


def test_the_reference_model_is_sound() -> None:
    assert [problem for problem in lint(MODEL) if problem.severity == "error"] == []


def test_a_model_is_asked_by_name_source_and_table() -> None:
    assert MODEL.entity("USER") is MODEL.for_source("users")
    assert MODEL.entity("NOBODY") is None
    assert MODEL.of_table(MODEL.tables[0]) == tuple(MODEL.entities)
    assert [table.name for table in MODEL.tables] == ["miyabi-lambda-data"]
    assert MODEL.tables[0].index("GSI3") is None


def of_others(*prefixes: str) -> Table:
    return replace(TABLE, foreign=prefixes)


def test_items_of_others_are_declared_by_what_no_item_of_the_model_begins_with() -> None:
    item = Item("ROW#{id}", "METADATA")
    assert errors(entity_of(items=[item], table=of_others("INVOICE#", "ROWS#"))) == []
    (sentence,) = errors(entity_of(items=[item], table=of_others("INVOICE#", "RO")))
    assert sentence == (
        "item 0's key 'ROW#{id}' can begin with 'RO', which table target declares to be `foreign`. "
        "Declare a longer prefix, or begin the template with another literal."
    )
    assert len(errors(entity_of(items=[item], table=of_others("ROW#x")))) == 1
    assert len(errors(entity_of(items=[Item("{id}", "METADATA")], table=of_others("INVOICE#")))) == 1


def test_a_prefix_that_tells_nothing() -> None:
    assert errors(entity_of(items=[Item("A#{id}", "M")], table=of_others(""))) == [
        "An empty prefix in `foreign` would make every item one of others. Write what their keys begin with."
    ]
    numbers = Table("target", N("number"), foreign=("1",))
    source = sa.Table("source", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    (sentence,) = errors(Entity("E", source, numbers, [Item("{id}")]))
    assert sentence == (
        "Items of others are told by what their partition keys begin with, and number is of type N. "
        "Leave `foreign` out."
    )
    assert not numbers.is_foreign({"number": {"N": "1"}})
