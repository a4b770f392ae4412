"""A library that is written in DynamoDB: authors and their books, with what carrying back has to cope with.

Books stand under their shelves, so that their keys move; a second item finds them by their number, and a third is there
while they are lent. Halves of a pair are in an item each, none of which holds the row whole. What is here of an
application writes items with versions, and leaves tombstones.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, MetaData, Text, UniqueConstraint
from sqlalchemy import Table as Source

from migrator.engines import reverse
from migrator.mapping import Attribute, Entity, Expiry, Item, Model, S, Table, forward, only
from migrator.postgres import capture, fence, phases
from migrator.postgres.identifiers import TableName
from migrator.reconcile import ItemKey
from tests.support.renamed import VARIABLE, renamed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.engines.stores import Stores
    from migrator.mapping import Row, WireItem
    from migrator.postgres.phases import Phase, Stage
    from tests.support.migration import Migration

metadata = MetaData()
# Not in the order of their references.
books = Source(
    "books",
    metadata,
    Column("id", Text, primary_key=True),
    Column("author_id", BigInteger, ForeignKey("authors.id"), nullable=False),
    Column("sequel_to", Text, ForeignKey("books.id", ondelete="CASCADE")),
    Column("shelf", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("lent_to", Text),
    Column("expires", BigInteger),
    Column("note", Text, server_default="none"),
    UniqueConstraint("title", name="one_title"),
    CheckConstraint("title <> ''", name="a_title"),
)
authors = Source(
    "authors",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("name", Text, nullable=False),
)
pairs = Source(
    "pairs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("left", Text, nullable=False),
    Column("right", Text, nullable=False),
)

_TABLE = Table(
    "library", partition_key=S("PK"), sort_key=S("SK"), ttl="TTL", discriminator="Kind", stream="NEW_AND_OLD_IMAGES"
)
BOOK = Entity(
    "BOOK",
    source=books,
    table=_TABLE,
    items=[
        Item("BOOK#{id}", "METADATA", attributes=only("title", "shelf")),
        Item("SHELF#{shelf:escape}", "BOOK#{id}"),
        Item("LENT", "BOOK#{id}", attributes=only("lent_to"), when=books.c.lent_to.is_not(None)),
    ],
    attributes=[
        Attribute("author", books.c.author_id),
        Attribute("sequel_to", books.c.sequel_to),
        Attribute("shelf", books.c.shelf),
        Attribute("title", books.c.title),
        Attribute("lent_to", books.c.lent_to),
    ],
    ttl=Expiry(books.c.expires),
    dropped=[books.c.note],
)
AUTHOR = Entity(
    "AUTHOR",
    source=authors,
    table=_TABLE,
    items=[Item("AUTHOR#{id}", "PROFILE")],
    attributes=[Attribute("name", authors.c.name)],
)
PAIR = Entity(
    "PAIR",
    source=pairs,
    table=_TABLE,
    items=[
        Item("PAIR#{id}", "LEFT", attributes=only("left")),
        Item("PAIR#{id}", "RIGHT", attributes=only("right")),
    ],
    attributes=[Attribute("left", pairs.c.left), Attribute("right", pairs.c.right)],
)
MODEL = renamed(Model("library", [BOOK, AUTHOR, PAIR]), os.environ.get(VARIABLE, "test-library"))


def author(number: int, name: str) -> Row:
    return {"id": number, "name": name}


def book(id_: str, title: str, **others: Any) -> Row:  # noqa: ANN401 - of the columns' types
    row: Row = {"id": id_, "author_id": 1, "sequel_to": None, "shelf": "A", "title": title, "lent_to": None}
    return row | {"expires": None} | others


@dataclass
class Library:
    """The library while DynamoDB is the master."""

    migration: Migration
    client: DynamoDBClient
    versions: count[int]
    stores: Stores

    @property
    def table(self) -> str:
        return self.migration.table.name

    def key(self, partition: str, sort: str) -> ItemKey:
        return ItemKey.of(self.migration.table, {"PK": {"S": partition}, "SK": {"S": sort}})

    def items(self, name: str, row: Row) -> list[WireItem]:
        return forward(self.migration.entity(name), row)

    def put(self, name: str, *rows: Row) -> None:
        """Write the items of rows."""
        for row in rows:
            for item in self.items(name, row):
                self.put_item(item)

    def put_item(self, item: WireItem) -> None:
        self.client.put_item(TableName=self.table, Item={**item, "_v": {"N": str(next(self.versions))}})

    def bury(self, *keys: tuple[str, str]) -> None:
        """Leave tombstones."""
        for partition, sort in keys:
            self.put_item({"PK": {"S": partition}, "SK": {"S": sort}, "_del": {"N": "1"}})

    def remove(self, partition: str, sort: str) -> None:
        """Delete an item, as somebody does who knows of no tombstones."""
        self.client.delete_item(TableName=self.table, Key={"PK": {"S": partition}, "SK": {"S": sort}})

    async def back(self, *, batch: int = 200, lost: Sequence[str] = ()) -> reverse.Outcome:
        """Carry back what there is."""
        return await self.carrying(reverse.Silent(), asyncio.Event(), batch=batch, lost=lost, until_drained=True)

    async def carrying(
        self,
        listener: reverse.Listener,
        stop: asyncio.Event,
        *,
        batch: int = 200,
        lost: Sequence[str] = (),
        until_drained: bool = False,
    ) -> reverse.Outcome:
        """Carry back what comes."""
        return await reverse.carry_back(
            self.migration.model,
            self.migration.model.entities,
            self.stores,
            limits=reverse.Limits(batch),
            until_drained=until_drained,
            stop=stop,
            listener=listener,
            lost=lost,
        )

    def through(self, endpoint_url: str) -> Library:
        """The same, with the target reached at another address."""
        migration = self.migration.through(endpoint_url)
        return replace(self, migration=migration, stores=migration.stores)

    async def apply(self, *keys: ItemKey) -> reverse.Outcome:
        """Carry these keys back."""
        model = self.migration.model
        return await reverse.apply_keys(model, model.entities, self.stores, keys)

    async def pass_fence(self, *statements: str) -> None:
        """Change the source as if it had always been so: past the fence, without a mark."""
        async with self.migration.session() as session, session.transaction(), fence.passing(session):
            for statement in statements:
                await session.execute(statement)
            await session.execute("DELETE FROM migrator.marks")

    async def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        async with self.migration.session() as session:
            found = await session.fetch(f"SELECT {columns} FROM {table} ORDER BY 1")  # noqa: S608 - no input's
        return [tuple(row) for row in found]

    async def refused(self) -> dict[str, str]:
        """What was refused: key -> reason."""
        found = await self.rows("migrator.refused_changes", "key, reason")
        return dict(found)

    async def marks(self) -> int:
        return len(await self.rows("migrator.marks", "id"))

    async def move(self, phase: Phase, stage: Stage | None = None, *names: str) -> None:
        entities = names or tuple(each.name for each in self.migration.model.entities)
        async with self.migration.session() as session, session.transaction():
            await phases.record(session, "library", entities, phase, stage=stage)

    async def open(self) -> None:
        """Capture stands, the tables are fenced, and DynamoDB is written."""
        async with self.migration.session() as session:
            for table, columns in capture.wanted([self.migration.model]).items():
                for statement in capture.create_statements(table, columns):
                    await session.execute(statement)
            async with session.transaction():
                tables = [TableName(entity.source.name) for entity in self.migration.model.entities]
                await fence.fence(session, tables, model="library", phase="write_target")
        await self.move("write_target", "open")


@asynccontextmanager
async def opened(migration: Migration) -> AsyncIterator[Library]:
    """The library, with an empty source, a stream, and DynamoDB as the master."""
    with migration.boto3() as client:
        stream: Any = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        client.update_table(TableName=migration.table.name, StreamSpecification=stream)
        library = Library(migration, client, count(1), migration.stores)
        await library.open()
        yield library
