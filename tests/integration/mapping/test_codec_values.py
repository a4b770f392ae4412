"""Every type of PostgreSQL: to DynamoDB and back exactly, or refused with its place and the policy that allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from sqlalchemy import Column, Integer, MetaData
from sqlalchemy import Table as SourceTable

from migrator.mapping import (
    ABSENT,
    NATURAL,
    TEXT,
    Attribute,
    Entity,
    Form,
    Item,
    Model,
    Null,
    S,
    Table,
    lint,
)
from tests.integration.mapping.codec_cases import SCALARS, Case
from tests.integration.mapping.codec_collections import COLLECTIONS
from tests.support.round_trip import differences, encoded, restored, stored
from tests.support.target import Target, create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from migrator.dynamodb import Client
    from migrator.postgres.connection import Connection
    from tests.support.stores import DynamoDBStore

CASES = (*SCALARS, *COLLECTIONS)
SECRET = len("-infinity") + 1  # from this length on, a value must not stand in a message
ADVICE = {TEXT: "form=TEXT", NATURAL: "without form=SET"}


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def target(each_dynamodb: DynamoDBStore) -> Target:
    return create(each_dynamodb, Table(each_dynamodb.table_name(), S("PK"), envelope="Data"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(target: Target) -> AsyncIterator[Client]:
    async with target.client() as client:
        yield client


def entity_of(case: Case, table: Table, form: Form, null: Null = ABSENT) -> Entity:
    source = SourceTable("source", MetaData(), Column("id", Integer, primary_key=True), Column("value", case.declared))
    attributes = [Attribute("id", source.c.id), Attribute("value", source.c.value, form=form)]
    return Entity("VALUE", source, table, [Item("ROW#{id}")], data=attributes, null=null)


async def insert(connection: Connection, case: Case, values: Iterable[str]) -> None:
    """Make the table `source` with the values, numbered from 1, and NULL in row 0."""
    for statement in case.setup:
        await connection.execute(statement)
    await connection.execute(f"CREATE TABLE source (id integer PRIMARY KEY, value {case.type})")
    for number, value in enumerate(("NULL", *values)):
        await connection.execute(f"INSERT INTO source VALUES ({number}, {value})")  # noqa: S608 - the case's own SQL


async def carry(connection: Connection, client: Client, entity: Entity, same: str) -> list[tuple[str, ...]]:
    """Carry the table `source` to DynamoDB and back, and return where the result differs."""
    encoding = await encoded(connection, entity)
    assert encoding.failures == []
    items = await stored(client, entity, encoding.items)
    table = f"restored_{entity.null.value}"
    await restored(connection, entity, items, table)
    return await differences(connection, entity, table, {"value": same})


@pytest.mark.uncovered
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_value_comes_back_under_either_null_policy(
    connection: Connection, client: Client, target: Target, case: Case
) -> None:
    await insert(connection, case, case.exact)
    for null in Null:
        entity = entity_of(case, target.table, case.form, null)
        assert lint(Model("cases", [entity])) == []
        assert await carry(connection, client, entity, case.same) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=str)
async def test_a_value_without_a_form_is_refused_by_name(connection: Connection, case: Case) -> None:
    await insert(connection, case, case.refused)
    encoding = await encoded(connection, entity_of(case, Table("any", S("PK"), envelope="Data"), case.form))
    assert [(failure.table, failure.key, failure.column) for failure in encoding.failures] == [
        ("source", (str(number),), "value") for number, _ in enumerate(case.refused, 1)
    ]
    assert [f.policy for f in encoding.failures if ADVICE[case.policy] not in (f.policy or "")] == []
    assert len(encoding.items) == 1
    texts = [record["text"] for record in await connection.fetch("SELECT value::text AS text FROM source WHERE id > 0")]
    assert [f.what for f in encoding.failures for text in texts if len(text) >= SECRET and text in f.what] == []


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=str)
async def test_the_advised_policy_brings_it_back(
    connection: Connection, client: Client, target: Target, case: Case
) -> None:
    await insert(connection, case, [*case.exact, *case.refused])
    assert await carry(connection, client, entity_of(case, target.table, case.policy), case.same_by_policy) == []
