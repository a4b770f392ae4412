"""Rows are found by what an item's key says of them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, Numeric, Text
from sqlalchemy import Table as Source

from migrator.engines.stores import live_table
from migrator.mapping import Attribute, Entity, Item, N, Table, claims, owned_keys
from migrator.postgres.connection import session
from migrator.reconcile import Lookup

if TYPE_CHECKING:
    from tests.support.stores import Database

prices = Source(
    "prices", MetaData(), Column("amount", Numeric(6, 2), primary_key=True), Column("words", Text, nullable=False)
)
PRICE = Entity(
    "PRICE",
    source=prices,
    table=Table("prices", partition_key=N("Amount")),
    items=[Item("{amount}")],
    attributes=[Attribute("words", prices.c.words)],
)


async def test_a_numeric_is_found_whatever_its_scale(database: Database) -> None:
    async with session(database.url, purpose="test") as connection:
        await connection.execute(
            "CREATE TABLE prices (amount numeric(6, 2) PRIMARY KEY, words text NOT NULL);"
            "INSERT INTO prices VALUES (1.5, 'one and a half'), (100, 'a hundred')"
        )
        lookup = Lookup(PRICE, await live_table(connection, PRICE))
        texts = ["1.5", "1.50", "1E2", "3"]
        found = await lookup.rows(connection, [{"amount": Decimal(text)} for text in texts])
        assert [[row["words"] for row in rows] for rows in found] == [
            ["one and a half"],
            ["one and a half"],
            ["a hundred"],
            [],
        ]
        # As DynamoDB gives a key back.
        (key,) = owned_keys(PRICE, found[0][0])
        (claim,) = claims([PRICE], {"Amount": {"N": str(Decimal(key["Amount"]["N"]).normalize())}})
        assert await lookup.rows(connection, [claim.values]) == [found[0]]
