"""DynamoDB's limits: what the encoder lets pass, DynamoDB takes, and what DynamoDB takes is not refused for nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import Column, MetaData, Text
from sqlalchemy import Table as SourceTable
from sqlalchemy.dialects.postgresql import JSONB

from migrator.dynamodb import put_item
from migrator.dynamodb.errors import InvalidRequestError
from migrator.mapping import Attribute, Encoder, Entity, Item, S, Table
from tests.support.target import Target, create

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.dynamodb import Client
    from migrator.mapping import WireItem
    from tests.support.stores import DynamoDBStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

ITEM_BYTES = 400 * 1024


@pytest.fixture(scope="module")
def target(each_dynamodb: DynamoDBStore) -> Target:
    return create(each_dynamodb, Table(each_dynamodb.table_name(), S("PK"), S("SK"), envelope="Data"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(target: Target) -> AsyncIterator[Client]:
    async with target.client() as client:
        yield client


def entity_of(table: Table, *, enveloped: bool) -> Entity:
    source = SourceTable(
        "source",
        MetaData(),
        Column("pk", Text, primary_key=True),
        Column("sk", Text, primary_key=True),
        Column("value", JSONB),
    )
    attributes = [Attribute("value", source.c.value)]
    return Entity(
        "LIMITS",
        source,
        table,
        [Item("{pk}", "{sk}")],
        data=attributes if enveloped else (),
        attributes=() if enveloped else attributes,
    )


def takes(entity: Entity, *, pk: str = "p", sk: str = "s", value: str | None = None) -> bool:
    """Whether the encoder takes a row."""
    encoded = Encoder(entity).encode([(pk, sk, value)])
    assert len(encoded.items) + len(encoded.failures) == 1
    return bool(encoded.items)


async def accepts(client: Client, entity: Entity, item: WireItem) -> bool:
    """Whether DynamoDB takes an item."""
    try:
        await put_item(client, entity.table.name, json.dumps(item).encode())
    except InvalidRequestError:
        return False
    return True


def wire(entity: Entity, *, pk: str = "p", sk: str = "s", value: dict[str, Any] | None = None) -> WireItem:
    """The item of a row, made by hand."""
    item: WireItem = {"PK": {"S": pk}, "SK": {"S": sk}}
    held = {} if value is None else {"value": value}
    return item | ({"Data": {"M": held}} if entity.data else held)


@pytest.mark.parametrize("enveloped", [False, True])
@pytest.mark.parametrize("innermost", ["1", ""], ids=["scalar", "empty"])
async def test_a_document_may_be_as_deep_as_dynamodb_allows(
    client: Client, target: Target, innermost: str, *, enveloped: bool
) -> None:
    entity = entity_of(target.table, enveloped=enveloped)
    verdicts = {}
    for levels in range(28, 41):
        value: dict[str, Any] = {"N": innermost} if innermost else {"L": []}
        for _ in range(levels if innermost else levels - 1):
            value = {"L": [value]}
        document = f"{'[' * levels}{innermost}{']' * levels}"
        verdicts[levels] = (takes(entity, value=document), await accepts(client, entity, wire(entity, value=value)))
    assert {levels for levels, (taken, accepted) in verdicts.items() if taken is not accepted} == set()
    assert {taken for taken, _ in verdicts.values()} == {True, False}


@pytest.mark.parametrize("character", ["x", "é", "🚀"])
@pytest.mark.parametrize(("part", "limit"), [("pk", 2048), ("sk", 1024)])
async def test_a_key_may_be_as_long_as_dynamodb_allows(
    client: Client, target: Target, part: str, limit: int, character: str
) -> None:
    entity = entity_of(target.table, enveloped=False)
    longest = character * (limit // len(character.encode()))
    for text, allowed in ((longest, True), (f"{longest}x", False), ("", False)):
        pk, sk = (text, "s") if part == "pk" else ("p", text)
        assert takes(entity, pk=pk, sk=sk) is allowed
        assert await accepts(client, entity, wire(entity, pk=pk, sk=sk)) is allowed


@pytest.mark.parametrize("enveloped", [False, True])
@pytest.mark.parametrize("character", ["x", "é"])
async def test_an_item_may_be_as_large_as_dynamodb_allows(
    client: Client, target: Target, character: str, *, enveloped: bool
) -> None:
    entity = entity_of(target.table, enveloped=enveloped)
    overhead = len("PKpSKsvalue") + (len("Data") + 3 + 1 if enveloped else 0)
    text = character * ((ITEM_BYTES - overhead) // len(character.encode()))
    text += "x" * (ITEM_BYTES - overhead - len(text.encode()))
    for value, allowed in ((text, True), (f"{text}x", False)):
        assert takes(entity, value=json.dumps(value, ensure_ascii=False)) is allowed
        assert await accepts(client, entity, wire(entity, value={"S": value})) is allowed
