"""A small model whose item keys move and are exchanged, as a mapping module.

An account has three items: under its primary key, under a unique handle, and under its owner. A seat has one item
always and another while it is taken, which change together. Both primary keys and the handle are DEFERRABLE: rows can
exchange them in one statement.
"""

from __future__ import annotations

import os
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, PrimaryKeyConstraint, Table, Text, UniqueConstraint

from migrator.mapping import Attribute, Entity, Expiry, Index, Item, Model, S, only
from migrator.mapping import Table as Target
from tests.support.renamed import VARIABLE, renamed

metadata: Final = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("id", Integer, autoincrement=False),
    Column("handle", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("value", Integer),
    PrimaryKeyConstraint("id", deferrable=True),
    UniqueConstraint("handle", deferrable=True),
)

seats = Table(
    "seats",
    metadata,
    Column("number", Integer, autoincrement=False),
    Column("guest", Text),
    Column("until", BigInteger),
    PrimaryKeyConstraint("number", deferrable=True),
)

TABLE: Final = Target(
    "accounts",
    partition_key=S("PK"),
    sort_key=S("SK"),
    indexes=(Index("GSI1", S("GSI1PK"), S("GSI1SK")),),
    ttl="TTL",
    discriminator="EntityType",
    envelope="Data",
)

ACCOUNT: Final = Entity(
    "ACCOUNT",
    source=accounts,
    table=TABLE,
    items=[
        Item("ACCOUNT#{id}", "METADATA"),
        Item("HANDLE#{handle}", "ACCOUNT", data=only("id", "value")),
        Item("OWNER#{owner}", "ACCOUNT#{id:unordered}", data=only("value")),
    ],
    data=[
        Attribute("id", accounts.c.id),
        Attribute("handle", accounts.c.handle),
        Attribute("owner", accounts.c.owner),
        Attribute("value", accounts.c.value),
    ],
)

SEAT: Final = Entity(
    "SEAT",
    source=seats,
    table=TABLE,
    items=[
        Item("SEAT#{number}", "METADATA", indexes={"GSI1": ("GUEST#{guest}", "SEAT#{number:unordered}")}),
        Item("SEAT#{number}", "TAKEN", data=only("guest"), when=seats.c.guest.is_not(None)),
    ],
    data=[Attribute("number", seats.c.number), Attribute("guest", seats.c.guest)],
    ttl=Expiry(seats.c.until),
    atomic=True,
)

MODEL: Final = renamed(Model("accounts", [ACCOUNT, SEAT]), os.environ.get(VARIABLE, "test-accounts"))
