"""DynamoDB's limits to the byte, on both paths; the emulators draw the same lines for items and the table's key."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from migrator.mapping import Attribute, B, Computed, Entity, Item, N, S, Table
from migrator.mapping.limits import item_bytes
from tests.unit.mapping.small import encoded, entity_of, items_of, refusal, table_of

BARE = Table("target", S("PK"), S("SK"))


def keyed(partition_key: str, sort_key: str, **indexes: tuple[str, ...]) -> Entity:
    return entity_of(sa.Column("note", sa.Text, nullable=False), items=[Item(partition_key, sort_key, indexes=indexes)])


@pytest.mark.parametrize(
    ("entity", "room"),
    [
        (keyed("A#{note}", "{id}"), 2048 - 2),
        (keyed("{id}", "A#{note}"), 1024 - 2),
        (keyed("{id}", "A", GSI1=("{note}", "A")), 2048),
        (keyed("{id}", "A", GSI1=("A", "caf\u00e9{note}")), 1024 - 5),
    ],
    ids=["partition key", "sort key", "index partition key", "index sort key"],
)
@pytest.mark.parametrize("character", ["x", "\u00e9", "\u65e5", "\U0001f680"])
def test_a_key_of_the_last_byte_is_taken_and_one_byte_more_refused(entity: Entity, room: int, character: str) -> None:
    width = len(character.encode())
    text = character * (room // width) + "x" * (room % width)
    assert len(encoded(entity, {"id": "a", "note": text}).items) == 1
    failure = refusal(entity, {"id": "a", "note": text + "x"})
    assert failure.column == "note"
    assert "DynamoDB allows" in failure.reason


def test_an_escaped_key_is_measured_as_it_is_stored() -> None:
    entity = keyed("A#{note:escape}#B", "{id}")
    room = 2048 - 4
    assert len(encoded(entity, {"id": "a", "note": "%" * (room // 3)}).items) == 1
    assert refusal(entity, {"id": "a", "note": "%" * (room // 3) + "x" * (room % 3 + 1)}).column == "note"


@pytest.mark.parametrize("partition_key", ["{note}", "{id}"])
def test_an_empty_key_is_refused(partition_key: str) -> None:
    entity = keyed(partition_key, "A#{id}{note}" if partition_key == "{note}" else "{note}")
    assert refusal(entity, {"id": "a", "note": ""}).reason.endswith("would be empty")


def test_an_empty_index_key_is_refused() -> None:
    assert refusal(keyed("A#{id}", "B", GSI2=("{note}",)), {"id": "a", "note": ""}).column == "note"


def test_keys_of_other_types() -> None:
    source = sa.Table("source", sa.MetaData(), sa.Column("id", sa.LargeBinary, primary_key=True))
    entity = Entity("E", source, Table("target", B("id")), [Item("{id}")])
    assert len(encoded(entity, {"id": b"x" * 2048}).items) == 1
    assert "2049 bytes" in refusal(entity, {"id": b"x" * 2049}).reason
    assert refusal(entity, {"id": b""}).reason.endswith("would be empty")
    source = sa.Table("source", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    entity = Entity("E", source, Table("target", N("id")), [Item("{id}")])
    assert encoded(entity, {"id": 0}).items == [b'{"id":{"N":"0"}}']


def sized(entity: Entity, size: int, character: str) -> dict[str, Any]:
    """A row whose item has this size in bytes."""
    rest = size - item_bytes(items_of(entity, {"id": "a", "note": ""})[0])
    width = len(character.encode())
    return {"id": "a", "note": character * (rest // width) + "x" * (rest % width)}


@pytest.mark.parametrize("character", ["x", "\u00e9", '"'])
def test_an_item_of_400_kb_is_taken_and_one_byte_more_refused(character: str) -> None:
    source = table_of(sa.Column("note", sa.Text, nullable=False))
    entity = entity_of(source=source, table=BARE, attributes=[Attribute("note", source.c.note)])
    taken, refused = (sized(entity, size, character) for size in (409_600, 409_601))
    (item,) = map(json.loads, encoded(entity, taken).items)
    assert item_bytes(item) == 409_600
    failure = refusal(entity, refused)
    assert (failure.column, failure.reason) == ("(the whole row)", "an item of 409601 bytes, DynamoDB allows 409600")


def test_the_size_of_an_item_is_counted_as_dynamodb_does() -> None:
    item = {
        "name": {"S": "caf\u00e9"},  # 4 + 5
        "n": {"N": "-12345"},  # 1 + 3 digits' pairs + 1, and never less
        "b": {"B": "AP8="},  # 1 + 2
        "flag": {"BOOL": True},  # 4 + 1
        "list": {"L": [{"S": "ab"}, {"NULL": True}]},  # 4 + 3 + (1 + 2) + (1 + 1)
        "map": {"M": {"k": {"S": "v"}}},  # 3 + 3 + (1 + 1 + 1)
        "set": {"SS": ["a", "bc"]},  # 3 + 3
    }
    assert item_bytes(item) == 9 + 5 + 3 + 5 + 12 + 9 + 6


@pytest.mark.parametrize("column_type", [pg.JSONB(), sa.JSON()], ids=["jsonb", "json"])
@pytest.mark.parametrize("enveloped", [False, True])
def test_the_32nd_level_on_both_paths(column_type: Any, enveloped: bool) -> None:  # noqa: ANN401, FBT001 - SQLAlchemy's types; a parameter of the case
    source = table_of(sa.Column("meta", column_type))
    attributes = [Attribute("meta", source.c.meta)]
    places = ([], attributes) if enveloped else (attributes, [])
    entity = entity_of(source=source, attributes=places[0], data=places[1])
    room = 31 - enveloped
    for depth in (23, 24, 25, room):
        assert len(encoded(entity, {"id": "a", "meta": "[" * depth + "1" + "]" * depth}).items) == 1
    for depth in (room + 1, 40, 500, 100_000):
        row = {"id": "a", "meta": '{"a":' * depth + "1" + "}" * depth}
        assert "32 levels" in refusal(entity, row).reason


def test_an_array_of_documents_at_the_last_level() -> None:
    entity = entity_of(sa.Column("metas", sa.ARRAY(pg.JSONB)))
    for depth, fits in ((30, True), (31, False)):
        row = {"id": "a", "metas": ["[" * depth + "1" + "]" * depth]}
        assert bool(encoded(entity, row).items) is fits


def nested(depth: int | None) -> object:
    """A computed attribute of so many lists in each other."""
    value: object = 1
    for _ in range(depth or 0):
        value = [value]
    return value


@pytest.mark.parametrize("enveloped", [False, True])
def test_a_computed_attribute_at_the_last_level(enveloped: bool) -> None:  # noqa: FBT001 - a parameter of the case
    source = table_of(sa.Column("depth", sa.Integer))
    computed = [Computed("nested", (source.c.depth,), nested)]
    places = ([], computed) if enveloped else (computed, [])
    entity = entity_of(source=source, attributes=places[0], data=places[1])
    assert len(encoded(entity, {"id": "a", "depth": 31 - enveloped}).items) == 1
    assert len(items_of(entity, {"id": "a", "depth": 31 - enveloped})) == 1
    assert "32 levels" in refusal(entity, {"id": "a", "depth": 32 - enveloped}).reason


def test_rows_below_every_limit_leave_no_doubt() -> None:
    entity = keyed("A#{note}", "{id}", GSI1=("{note}", "{id}"))
    assert encoded(entity, {"id": "i" * 250, "note": "n" * 500}).doubted == 0
    assert encoded(entity, {"id": "i" * 257, "note": "n"}).doubted == 1
