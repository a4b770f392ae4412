"""Which columns capture has to note: the primary key, and what keys of items are made of."""

from __future__ import annotations

import sqlalchemy as sa

from mappings.miyabi import MODEL
from migrator.mapping import Entity, Index, Item, Model, S, Table
from migrator.mapping.captured import captured_columns

TABLE = Table("t", partition_key=S("PK"), sort_key=S("SK"), indexes=(Index("I", S("IP"), S("IS")),))
tasks = sa.Table(
    "tasks",
    sa.MetaData(),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("team_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    schema="work",
)


def test_columns_of_all_items_of_all_entities_of_the_table() -> None:
    of_user = Item("USER#{user_id}", "TASK#{id}", indexes={"I": ("STATUS#{status}", "{id}")})
    first = Entity("FIRST", source=tasks, table=TABLE, items=[of_user, Item("TASK#{id}", "TASK")])
    second = Entity("SECOND", source=tasks, table=TABLE, items=[Item("TEAM#{team_id}", "TASK#{id}")])
    model = Model("m", [first, second])
    assert captured_columns(model, "work.tasks") == ("id", "user_id", "team_id")
    assert captured_columns(Model("m", [second]), "work.tasks") == ("id", "team_id")


def test_a_table_that_is_not_mapped_has_none() -> None:
    assert captured_columns(MODEL, "nothing") == ()


def test_the_primary_key_stands_first_in_its_own_order() -> None:
    assert captured_columns(MODEL, "organization_members") == ("org_id", "user_id")
    assert captured_columns(MODEL, "execution_logs") == ("id", "execution_id", "created_at")
