"""Which entities move together."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mappings.miyabi import MODEL
from migrator.errors import UsageError
from migrator.mapping import Counted, Entity, Item, Model, S, Table
from migrator.phases.groups import groups, members

metadata = sa.MetaData()
parents = sa.Table("parents", metadata, sa.Column("id", sa.Text, primary_key=True))
children = sa.Table(
    "children",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("parent", sa.ForeignKey("parents.id")),
    sa.Column("elder", sa.ForeignKey("children.id")),
)
notes = sa.Table("notes", metadata, sa.Column("id", sa.Text, primary_key=True), sa.Column("parent", sa.Text))
others = sa.Table("parents", metadata, sa.Column("id", sa.Text, primary_key=True), schema="other")
TABLE = Table("t", partition_key=S("PK"))
PARENT = Entity("PARENT", parents, TABLE, [Item("P#{id}")])
CHILD = Entity("CHILD", children, TABLE, [Item("C#{id}")])
NOTE = Entity("NOTE", notes, TABLE, [Item("N#{id}")])
OTHER = Entity("OTHER", others, TABLE, [Item("O#{id}")])


def names(*entities: Entity) -> list[list[str]]:
    return [[entity.name for entity in group] for group in groups(Model("m", list(entities)))]


def test_foreign_keys_tie_rows_together_in_whatever_order_they_stand() -> None:
    assert names(PARENT, CHILD, NOTE) == [["PARENT", "CHILD"], ["NOTE"]]
    assert names(CHILD, NOTE, PARENT) == [["CHILD", "PARENT"], ["NOTE"]]


def test_a_table_of_the_same_name_in_another_schema_is_another() -> None:
    assert names(CHILD, OTHER) == [["CHILD"], ["OTHER"]]


def test_entities_of_one_source_table_are_together() -> None:
    assert names(NOTE, PARENT, Entity("AGAIN", notes, TABLE, [Item("A#{id}")])) == [["NOTE", "AGAIN"], ["PARENT"]]


def test_an_aggregate_is_with_its_parts() -> None:
    counted = Counted("notes", notes, {notes.c.parent: parents.c.id})
    assert names(Entity("PARENT", parents, TABLE, [Item("P#{id}")], data=[counted]), NOTE, OTHER) == [
        ["PARENT", "NOTE"],
        ["OTHER"],
    ]


def test_chains_are_one_group() -> None:
    found = groups(MODEL)
    assert sorted(entity.name for group in found for entity in group) == sorted(each.name for each in MODEL.entities)
    together = next(group for group in found if MODEL.entities[0] in group)
    assert {"ORGANIZATION", "REPOSITORY", "AGENT_EXECUTION", "EXECUTION_LOG"} <= {entity.name for entity in together}


def test_members_are_the_groups_of_those_that_are_named() -> None:
    model = Model("m", [PARENT, CHILD, NOTE])
    assert members(model, ["CHILD"]) == (PARENT, CHILD)
    assert members(model, []) == (PARENT, CHILD, NOTE)
    with pytest.raises(UsageError, match="WHO: no entity of model m"):
        members(model, ["CHILD", "WHO"])
