"""A model of what the reference has not: sets of texts, numbers and bytes, a float, an enum, and bytes."""

from __future__ import annotations

import os

from sqlalchemy import Column, Double, Enum, LargeBinary, MetaData, Numeric, Text
from sqlalchemy import Table as Source
from sqlalchemy.dialects.postgresql import ARRAY

from migrator.mapping import SET, Attribute, Entity, Index, Item, Model, Query, S, Table
from tests.support.renamed import VARIABLE, renamed

metadata = MetaData()
shelves = Source(
    "shelves",
    metadata,
    Column("id", Text, primary_key=True),
    Column("room", Text, nullable=False),
    Column("tags", ARRAY(Text)),
    Column("sizes", ARRAY(Numeric)),
    Column("hashes", ARRAY(LargeBinary)),
    Column("weight", Double),
    Column("seal", LargeBinary),
    Column("state", Enum("open", "shut", name="state")),
)
c = shelves.c

SHELF = Entity(
    "SHELF",
    source=shelves,
    table=Table(
        "shapes",
        partition_key=S("PK"),
        sort_key=S("SK"),
        indexes=(Index("GSI1", S("GSI1PK"), S("GSI1SK")), Index("GSI2", S("GSI2PK"), S("GSI2SK"))),
        ttl="TTL",
        discriminator="EntityType",
        envelope="Data",
    ),
    items=[
        Item("SHELF#{id}", "METADATA", indexes={"GSI1": ("ROOM#{room}", "SHELF#{id}")}, when=c.state != "shut"),
        Item("ROOM#{room:escape}#", "SHELF#{id}"),
    ],
    data=[
        Attribute("room", c.room),
        Attribute("tags", c.tags, form=SET),
        Attribute("sizes", c.sizes, form=SET),
        Attribute("hashes", c.hashes, form=SET),
        Attribute("weight", c.weight),
        Attribute("seal", c.seal),
        Attribute("state", c.state),
    ],
)

MODEL = renamed(
    Model("shapes", [SHELF], [Query("of-a-room", "the open shelves of a room", SHELF, index="GSI1")]),
    os.environ.get(VARIABLE, "test-shapes"),
)

ROWS = """
INSERT INTO shelves
SELECT md5(n::text), 'room ' || n % 5, ARRAY['a', 'b', md5('tag' || n)],
       ARRAY[n, repeat('12', 19)::numeric + n, -0.5 - n], ARRAY[decode(md5(n::text), 'hex'), '\\x00'],
       n / 7.0, decode(md5('seal' || n), 'hex'), CASE WHEN n % 9 = 0 THEN 'shut'::state ELSE 'open'::state END
FROM generate_series(1, 90) AS n
"""
"""Rows for it."""
