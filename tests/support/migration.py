"""A loaded source and a target prepared for it, on which the engines are tried, and an independent witness of both.

The witness reads the target with boto3 and the source with a session of its own, and compares what it finds with
`forward`, the readable path of the mapping: the compiled encoder and the wire client have no part in it.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, cast

import asyncpg
import boto3
from sqlalchemy.ext.asyncio import create_async_engine

from mappings.miyabi.sample import rows
from migrator.engines import copy, verify
from migrator.engines.stores import Stores, chosen
from migrator.mapping import expiry, forward
from migrator.postgres import state
from migrator.postgres.connection import connect
from migrator.sandbox.loading import load
from tests.support.renamed import VARIABLE, renamed
from tests.support.round_trip import source_of
from tests.support.stores import Database, DynamoDBStore, new_database
from tests.support.target import create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from types import ModuleType

    import pytest
    import sqlalchemy as sa
    from mypy_boto3_dynamodb import DynamoDBClient

    from mappings.miyabi.sample import Batch
    from migrator.mapping import AttributeValue, Entity, Model, Row, Table, WireItem
    from migrator.postgres.connection import Connection
    from migrator.sandbox import DynamoDBEndpoint

SEED = 20251129
_PAGE = 1_000
_EXACT = Context(prec=50)

Items = dict[str, str]
"""Items by key, both in one text for all that are equal."""


@dataclass(frozen=True)
class Migration:
    """A model with a source that holds its rows and a target that has its table.

    `mappings` is the module in which child processes find the model; the environment tells them the table's name.
    """

    model: Model
    mappings: str
    database: Database
    endpoint: DynamoDBEndpoint

    @property
    def table(self) -> Table:
        """The model's only target table."""
        (table,) = self.model.tables
        return table

    def entity(self, name: str) -> Entity:
        entity = self.model.entity(name)
        assert entity is not None, name
        return entity

    def through(self, endpoint_url: str) -> Migration:
        """The same, with the target reached at another address."""
        return replace(self, endpoint=replace(self.endpoint, endpoint_url=endpoint_url))

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which a command finds source, target and model."""
        return {
            **self.database.environment(),
            **self.endpoint.environment(),
            "MIGRATOR_MAPPINGS": self.mappings,
            VARIABLE: self.table.name,
        }

    @property
    def stores(self) -> Stores:
        return Stores(self.database.url, region=self.endpoint.region, endpoint_url=self.endpoint.endpoint_url)

    async def copy(
        self,
        *tables: str,
        limits: copy.Limits | None = None,
        restart: bool = False,
        listener: copy.Listener | None = None,
    ) -> copy.Outcome:
        return await copy.copy(
            self.model,
            chosen(self.model, tables),
            self.stores,
            mappings=self.mappings,
            limits=limits or copy.Limits(),
            restart=restart,
            listener=listener or copy.Silent(),
        )

    async def verify(
        self, *tables: str, max_rcu: float | None = None, workers: int = 1, patterns: int | None = 0
    ) -> verify.Report:
        return await verify.verify(
            self.model,
            chosen(self.model, tables),
            self.stores,
            mappings=self.mappings,
            scope=verify.Scope(max_rcu, workers, patterns),
        )

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """A session of the toolkit's own on the source."""
        connection = await connect(self.database.url, purpose="test")
        try:
            yield connection
        finally:
            await connection.close()

    @contextmanager
    def boto3(self) -> Iterator[DynamoDBClient]:
        """A client of the target that shares nothing with the toolkit."""
        client = boto3.client(
            "dynamodb",
            endpoint_url=self.endpoint.endpoint_url,
            region_name=self.endpoint.region,
            aws_access_key_id=self.endpoint.access_key_id,
            aws_secret_access_key=self.endpoint.secret_access_key,
        )
        try:
            yield client
        finally:
            client.close()

    async def rows(self, entity: Entity) -> list[Row]:
        """Every row of an entity's table."""
        async with self.session() as session:
            return [row async for row in _rows(session, entity)]

    async def expected(self) -> Items:
        """The items that the source's rows should be; those past their TTL should not."""
        now = datetime.now(UTC).timestamp()
        items: Items = {}
        async with self.session() as session:
            for entity in self.model.entities:
                async for row in _rows(session, entity):
                    until = expiry(entity.plan, row)
                    if until is None or until > now:
                        items |= self.normal(forward(entity, row))
        return items

    def normal(self, items: Iterable[WireItem]) -> Items:
        """Items in a form in which two collections of them can be compared."""
        names = [attribute.name for attribute in self.table.key_attributes]
        forms = ({name: canonical(value) for name, value in item.items()} for item in items)
        return {_text([form[name] for name in names]): _text(form) for form in forms}

    def items(self) -> list[WireItem]:
        """Every item of the table, as boto3 reads it."""
        with self.boto3() as client:
            pages = client.get_paginator("scan").paginate(TableName=self.table.name, ConsistentRead=True)
            return [cast("WireItem", item) for page in pages for item in page["Items"]]

    async def actual(self) -> Items:
        """The items that the target holds, without versions; tombstones are none."""
        stored = await asyncio.to_thread(self.items)
        found = [{name: value for name, value in item.items() if name != "_v"} for item in stored if "_del" not in item]
        items = self.normal(found)
        assert len(items) == len(found), "a scan gives each key once"
        return items

    async def differing(self) -> list[str]:
        """The keys on which source and target do not agree: a short answer however many items there are."""
        expected, actual = await self.expected(), await self.actual()
        return sorted(key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key))


async def _rows(session: Connection, entity: Entity) -> AsyncIterator[Row]:
    source = await source_of(session, entity)
    names = [projected.name for projected in entity.projection]
    after = None
    while True:
        page = await source.page(session, after, None, _PAGE)
        for record in page.records:
            yield dict(zip(names, record, strict=False))
        if page.last is None:
            return
        after = page.last


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def canonical(value: AttributeValue) -> AttributeValue:
    """A typed value with numbers in one form each and sets in one order, by rules that no engine has a part in."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {"N": _number(content)}
        case "NS":
            return {"NS": sorted(map(_number, content))}
        case "SS" | "BS":
            return {kind: sorted(content)}
        case "L":
            return {"L": [canonical(member) for member in content]}
        case "M":
            return {"M": {name: canonical(member) for name, member in content.items()}}
    return value


def _number(text: str) -> str:
    return str(_EXACT.normalize(Decimal(text)))


@contextmanager
def source_template(server: Database, metadata: sa.MetaData, batches: Iterable[Batch]) -> Iterator[Database]:
    """Yield a database with these tables and rows and with the toolkit's own schema, to make others from."""
    with new_database(server) as template:
        asyncio.run(_fill(template, metadata, batches))
        yield template


async def _fill(database: Database, metadata: sa.MetaData, batches: Iterable[Batch]) -> None:
    engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
    session = await asyncpg.connect(database.url)
    try:
        await load(session, batches)
    finally:
        await session.close()
    session = await connect(database.url, purpose="test")
    try:
        await state.install(session)
    finally:
        await session.close()


def reference_mix(total: int) -> Iterator[Batch]:
    """Rows of all eleven tables, none of them near its expiry."""
    return rows(total, SEED, datetime.now(UTC))


@contextmanager
def migration(
    server: Database, template: Database, store: DynamoDBStore, mappings: ModuleType, environ: pytest.MonkeyPatch
) -> Iterator[Migration]:
    """Yield a migration of a copy of the template into an empty table, in an environment that names the target."""
    model = renamed(mappings.MODEL, store.table_name(mappings.MODEL.name))
    (table,) = model.tables
    create(store, table)
    with new_database(server, template) as database:
        prepared = Migration(model, mappings.__name__, database, store)
        for name, value in prepared.variables.items():
            environ.setenv(name, value)
        yield prepared
