"""A model of one narrow table, as a mapping module: so many rows that the table is copied in several ranges."""

from __future__ import annotations

import os

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from migrator.mapping import Attribute, Entity, Item, Model, S
from migrator.mapping import Table as Target
from tests.support.renamed import VARIABLE, renamed

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

MODEL = renamed(Model("narrow", [READING]), os.environ.get(VARIABLE, "test-narrow"))
