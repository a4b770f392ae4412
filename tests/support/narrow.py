"""A model of one narrow table, as a mapping module: so many rows that the table is copied in several ranges."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from migrator.mapping import Attribute, Entity, Item, Model, S
from migrator.mapping import Table as Target
from tests.support.renamed import VARIABLE, renamed

if TYPE_CHECKING:
    from tests.support.migration import Migration

metadata = MetaData()

readings = Table(
    "readings", metadata, Column("id", BigInteger, primary_key=True), Column("value", Text, nullable=False)
)

READING = Entity(
    "READING",
    source=readings,
    table=Target("readings", partition_key=S("PK"), discriminator="EntityType"),
    items=[Item("READING#{id}")],
    attributes=[Attribute("value", readings.c.value)],
)


def by_value(migration: Migration) -> Migration:
    """The same with items under the value, which is declared to tell rows apart as the primary key does."""
    reading = migration.entity("READING")
    item = replace(reading.items[0], partition_key="READING#{value}")
    unique = [(readings.c.value,)]
    other = replace(reading, items=[item], attributes=[Attribute("id", readings.c.id)], unique=unique)
    return replace(migration, model=Model("narrow", [other]))


MODEL = renamed(Model("narrow", [READING]), os.environ.get(VARIABLE, "test-narrow"))
