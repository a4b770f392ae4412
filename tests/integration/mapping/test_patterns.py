"""Every declared access pattern of miyabi: DynamoDB answers by key as PostgreSQL answers by SQL, in the same order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from mappings.miyabi import MODEL
from mappings.miyabi.sample import rows
from mappings.miyabi.schema import metadata
from migrator.dynamodb import get_item, query
from migrator.mapping import Get, Inverse, claims, differing_columns, forward
from migrator.sandbox.loading import load
from tests.support.renamed import renamed
from tests.support.round_trip import comparable, encoded, source_of, store
from tests.support.target import create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from migrator.dynamodb import Client
    from migrator.mapping import Entity, Model, Pattern, Row, WireItem
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database, DynamoDBStore

ROWS = 500
SEED = 7
PAGE = 3
NOBODY = "00000000-0000-4000-8000-000000000000"

# The reference's questions, written by hand: the rows' keys, and what they are to be sorted by.
SECONDS = {name: f"date_trunc('second', {name}_at)" for name in ("started", "created")}
QUESTIONS = {
    "AP1": "SELECT id, 0 FROM users WHERE id::text = :id",
    "AP2": "SELECT id, id FROM repositories WHERE user_id::text = :user_id ORDER BY 2",
    "AP3": "SELECT id, {started} FROM agent_executions WHERE repository_id = :repository_id ORDER BY 2",
    "AP4": "SELECT id, 0 FROM agent_executions WHERE id = :id",
    "AP5": "SELECT id, {started} FROM agent_executions WHERE status = :status ORDER BY 2 DESC",
    "AP6": "SELECT id, id FROM tasks WHERE user_id::text = :user_id ORDER BY 2",
    "AP7": "SELECT task_id || ' ' || depends_on_task_id, depends_on_task_id FROM task_dependencies "
    "WHERE task_id = :task_id ORDER BY 2",
    "AP8": "SELECT id, 0 FROM websocket_connections WHERE id = :id",
    "AP9": "SELECT id, id FROM users WHERE org_id = :org_id ORDER BY 2",
    "AP10": "SELECT id, id FROM workflows WHERE repository_id = :repository_id ORDER BY 2",
    "AP10-one": "SELECT id, 0 FROM workflows WHERE repository_id = :repository_id AND id = :id",
    "execution-logs": "SELECT id, {created} FROM execution_logs WHERE execution_id = :execution_id ORDER BY 2",
    "executions-by-kind": "SELECT id, {started} FROM agent_executions WHERE agent_type = :agent_type ORDER BY 2",
    "organization": "SELECT id, 0 FROM organizations WHERE id = :id",
    "organization-members": "SELECT org_id || ' ' || user_id, user_id FROM organization_members "
    "WHERE org_id = :org_id ORDER BY 2",
    "organization-repositories": "SELECT id, id FROM repositories WHERE org_id = :org_id ORDER BY 2",
    "repository": "SELECT id, 0 FROM repositories WHERE id = :id",
    "tasks-by-status": "SELECT id, {created} FROM tasks WHERE status = :status ORDER BY 2",
    "user-connections": "SELECT id, id FROM websocket_connections WHERE user_id::text = :user_id ORDER BY 2",
    "user-messages": "SELECT id, {created} FROM line_messages WHERE user_id::text = :user_id ORDER BY 2",
}

# Brings many rows into one second, their fractions in another order than their ids.
SQUEEZE = "UPDATE {0} SET {1} = date_trunc('{2}', {1}) + abs(hashtext(id)) % 1000000 * interval '1 microsecond'"
SQUEEZED = (
    ("agent_executions", "started_at", "day"),
    ("tasks", "created_at", "day"),
    ("line_messages", "created_at", "day"),
    ("execution_logs", "created_at", "hour"),
)

Key: TypeAlias = tuple[str, ...]
Parameters: TypeAlias = dict[str, str]


@dataclass(frozen=True)
class Stores:
    """Both stores with the same rows, and the model under the name that the table has here."""

    model: Model
    source: Connection
    sql: AsyncEngine
    client: Client

    def pattern(self, pattern: Pattern) -> Pattern:
        """The pattern, asked of this table."""
        entity = self.model.entity(pattern.entity.name)
        assert entity is not None
        return replace(pattern, entity=entity)

    async def by_sql(self, pattern: Pattern, parameters: Parameters) -> list[Row]:
        """PostgreSQL's answer."""
        source = pattern.entity.source
        keys = [sa.cast(source.columns[name], sa.Text) for name in pattern.entity.key_columns]
        async with self.sql.connect() as connection:
            answer = await connection.execute(pattern.statement(**parameters).with_only_columns(*keys))
        return await self.rows(pattern.entity, [tuple(record) for record in answer])

    async def asked(self, pattern: Pattern, parameters: Parameters) -> dict[str, object]:
        """PostgreSQL's answer to the question as it is written above: what each row is sorted by, in that order."""
        async with self.sql.connect() as connection:
            answer = await connection.execute(sa.text(QUESTIONS[pattern.id].format(**SECONDS)), parameters)
            return {str(key): order for key, order in answer}

    async def by_key(self, pattern: Pattern, parameters: Parameters, limit: int | None) -> list[WireItem]:
        """DynamoDB's answer, in pages of `limit` items."""
        if isinstance(pattern, Get):
            request = pattern.request(**parameters)
            item = await get_item(self.client, request["TableName"], request["Key"])
            return [] if item is None else [item]
        items: list[WireItem] = []
        last_key: WireItem | None = None
        while True:
            page = await anext(query(self.client, pattern.request(limit=limit, start_key=last_key, **parameters)))
            assert limit is None or len(page.items) <= limit
            items += page.items
            last_key = page.last_key
            if last_key is None:
                return items

    async def rows(self, entity: Entity, keys: Sequence[Key]) -> list[Row]:
        """The rows of these keys, all of which there are."""
        names = [projected.name for projected in entity.projection]
        records = await (await source_of(self.source, entity)).by_keys(self.source, keys)
        return [dict(zip(names, record, strict=False)) for record in records if record is not None]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sql(scratch: Database) -> AsyncIterator[AsyncEngine]:
    """A source with the reference mix."""
    engine = create_async_engine(scratch.url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    connection = await asyncpg.connect(scratch.url)
    await load(connection, rows(ROWS, SEED, datetime.now(UTC)))
    for statement in SQUEEZED:
        await connection.execute(SQUEEZE.format(*statement))
    await connection.close()
    yield engine
    await engine.dispose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stores(sql: AsyncEngine, source: Connection, each_dynamodb: DynamoDBStore) -> AsyncIterator[Stores]:
    model = renamed(MODEL, each_dynamodb.table_name())
    (table,) = model.tables
    async with create(each_dynamodb, table).client() as client:
        for entity in model.entities:
            encoding = await encoded(source, entity)
            assert encoding.failures == []
            await store(client, entity, encoding.items)
        yield Stores(model, source, sql, client)


async def occurring(stores: Stores, pattern: Pattern) -> list[Parameters]:
    """All values of the pattern's parameters that rows have."""
    columns = [pattern.entity.source.columns[name] for name in pattern.parameters]
    texts = [sa.cast(column, sa.Text).label(column.name) for column in columns]
    statement = sa.select(*texts).where(*(column.is_not(None) for column in columns)).distinct()
    async with stores.sql.connect() as connection:
        return [dict(record) for record in (await connection.execute(statement)).mappings()]


def strange(pattern: Pattern, known: Sequence[Parameters]) -> Iterator[Parameters]:
    """Values that no row has, made from those that rows have: parts of them, more than them, and mixtures."""
    first, last = known[0], known[-1]
    for name, value in first.items():
        if isinstance(pattern.entity.source.columns[name].type, sa.Uuid):
            yield first | {name: NOBODY}
            continue
        for other in ("", value[:-1], f"{value}x", f"{value}#", f"{value}#{value}", value.upper(), "METADATA"):
            yield first | {name: other}
        if first | {name: last[name]} not in known:
            yield first | {name: last[name]}


def order(pattern: Pattern, row: Row) -> tuple[object, ...]:
    """What a row is sorted by, as exactly as the key says it; behind a cut instant the order is the key's own."""
    parts: list[object] = []
    for field in [] if isinstance(pattern, Get) else [f for slot in pattern.slots[1:] for f in slot.template.fields]:
        value = row[field.column]
        if not field.lossless:
            return (*parts, value[: len("2025-11-29 10:30:00")])
        parts.append(value)
    return tuple(parts)


async def assert_same(stores: Stores, pattern: Pattern, expected: list[Row], items: list[WireItem]) -> None:
    """That DynamoDB's items are those of PostgreSQL's rows, in the same order, and hold what the rows hold."""
    entity = pattern.entity
    keys = [claim.row_key or () for item in items for claim in claims([entity], item)]
    found = await stores.rows(entity, keys)
    assert len(items) == len(found) == len(expected)
    assert [order(pattern, row) for row in found] == [order(pattern, row) for row in expected]
    identity = [tuple(str(row[name]) for name in entity.key_columns) for row in expected]
    assert sorted(keys) == sorted(identity)

    alone = Inverse(replace(entity, items=[entity.items[pattern.item]]))
    for item, row in zip(items, found, strict=True):
        assert comparable([item])[0] in comparable(forward(entity, row))
        if not alone.lost:
            assert differing_columns(entity, row, alone.row([item])) == []


def test_the_patterns_of_the_reference_are_declared() -> None:
    assert {pattern.id for pattern in MODEL.patterns} == QUESTIONS.keys()


@pytest.mark.uncovered
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("declared", MODEL.patterns, ids=lambda pattern: pattern.id)
async def test_dynamodb_answers_as_postgresql_does(stores: Stores, declared: Pattern) -> None:
    pattern = stores.pattern(declared)
    known = await occurring(stores, pattern)
    assert known
    for parameters in known:
        expected = await stores.by_sql(pattern, parameters)
        asked = await stores.asked(pattern, parameters)
        keys = [" ".join(str(row[name]) for name in pattern.entity.key_columns) for row in expected]
        assert sorted(keys) == sorted(asked)
        assert [asked[key] for key in keys] == list(asked.values())
        for limit in (None, PAGE):
            await assert_same(stores, pattern, expected, await stores.by_key(pattern, parameters, limit))
    for parameters in strange(pattern, known):
        assert await stores.by_sql(pattern, parameters) == []
        assert await stores.by_key(pattern, parameters, None) == []
