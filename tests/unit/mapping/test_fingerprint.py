"""The fingerprint: the same wherever it is computed, and another with every rule that makes items, but nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mappings.miyabi import MODEL
from migrator.mapping import (
    EPOCH,
    NULL,
    Attribute,
    Computed,
    Entity,
    Expiry,
    Index,
    Item,
    Model,
    N,
    Provisioned,
    S,
    entity_fingerprint,
    only,
)
from tests.unit.mapping import fingerprints
from tests.unit.mapping.generated_entities import doubled, halved, joined
from tests.unit.mapping.small import TABLE


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_it_is_the_same_in_another_process(seed: str) -> None:
    assert fingerprints.__file__ is not None
    found = subprocess.run(
        [sys.executable, "-m", fingerprints.__name__],
        cwd=Path(fingerprints.__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    assert found == [MODEL.fingerprint, *map(entity_fingerprint, MODEL.entities)]


def test_entities_have_fingerprints_of_their_own() -> None:
    assert len(set(map(entity_fingerprint, MODEL.entities))) == len(MODEL.entities)
    assert all(len(entity_fingerprint(entity)) == 32 for entity in MODEL.entities)


def source_of(**types: Any) -> sa.Table:  # noqa: ANN401 - SQLAlchemy's types
    columns = {"note": sa.Text, "count": sa.Integer, "at": sa.DateTime(timezone=True), **types}
    return sa.Table(
        "source",
        sa.MetaData(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("other", sa.Text, nullable=False),
        *(sa.Column(name, column_type) for name, column_type in columns.items()),
    )


def entity_of(source: sa.Table, **changes: Any) -> Entity:  # noqa: ANN401 - Entity's own fields
    fields: dict[str, Any] = {
        "name": "ENTITY",
        "source": source,
        "table": TABLE,
        "items": [Item("A#{id}", "M", indexes={"GSI1": ("N#{note}", "{at}")}, when=source.c.count == 1)],
        "attributes": [Attribute("at", source.c.at), Computed("twice", (source.c.count,), doubled, halved)],
        "data": [Attribute("note", source.c.note)],
        "ttl": Expiry(source.c.at, timedelta(days=1)),
        **changes,
    }
    return Entity(**fields)


SOURCE = source_of()
ENTITY = entity_of(SOURCE)
(ITEM,) = ENTITY.items
AT, TWICE = ENTITY.attributes
NOTE = Attribute("note", SOURCE.c.note)
EXPIRY = Expiry(SOURCE.c.at, timedelta(days=1))

CHANGED = {
    "name": replace(ENTITY, name="OTHER"),
    "partition key": replace(ENTITY, items=[replace(ITEM, partition_key="B#{id}")]),
    "sort key": replace(ENTITY, items=[replace(ITEM, sort_key="N")]),
    "one more item": replace(ENTITY, items=[ITEM, Item("B#{id}", "M")]),
    "index template": replace(ENTITY, items=[replace(ITEM, indexes={"GSI1": ("O#{note}", "{at}")})]),
    "index left": replace(ENTITY, items=[replace(ITEM, indexes={})]),
    "precision of a key": replace(ENTITY, items=[replace(ITEM, indexes={"GSI1": ("N#{note}", "{at:micros}")})]),
    "condition": replace(ENTITY, items=[replace(ITEM, when=SOURCE.c.count == 2)]),
    "no condition": replace(ENTITY, items=[replace(ITEM, when=None)]),
    "selection": replace(ENTITY, items=[replace(ITEM, attributes=only("at"))]),
    "attribute name": replace(ENTITY, attributes=[Attribute("At", SOURCE.c.at), TWICE]),
    "form": replace(ENTITY, attributes=[Attribute("at", SOURCE.c.at, form=EPOCH), TWICE]),
    "null of one": replace(ENTITY, attributes=[Attribute("at", SOURCE.c.at, null=NULL), TWICE]),
    "null of all": replace(ENTITY, null=NULL),
    "encrypted": replace(ENTITY, data=[replace(NOTE, encrypted=True)]),
    "place": replace(ENTITY, data=[], attributes=[AT, TWICE, NOTE]),
    "function": replace(ENTITY, attributes=[AT, Computed("twice", (SOURCE.c.count,), joined, halved)]),
    "inverse": replace(ENTITY, attributes=[AT, Computed("twice", (SOURCE.c.count,), doubled)]),
    "columns of a function": replace(ENTITY, attributes=[AT, Computed("twice", (SOURCE.c.note,), doubled, halved)]),
    "ttl": replace(ENTITY, ttl=Expiry(SOURCE.c.count)),
    "after": replace(ENTITY, ttl=replace(EXPIRY, after=timedelta(days=2))),
    "no ttl": replace(ENTITY, ttl=None),
    "dropped": replace(ENTITY, dropped=[SOURCE.c.other]),
    "table name": replace(ENTITY, table=replace(TABLE, name="another")),
    "key name": replace(ENTITY, table=replace(TABLE, sort_key=S("SortKey"))),
    "index key": replace(ENTITY, table=replace(TABLE, indexes=(Index("GSI1", S("a"), S("b")), TABLE.indexes[1]))),
    "ttl attribute": replace(ENTITY, table=replace(TABLE, ttl="expires")),
    "envelope": replace(ENTITY, table=replace(TABLE, envelope="Body")),
    "items of others": replace(ENTITY, table=replace(TABLE, foreign=("INVOICE#",))),
    "discriminator": replace(ENTITY, table=replace(TABLE, discriminator=None)),
    "column type": entity_of(source_of(note=sa.String(10))),
    "kind of column": entity_of(source_of(count=sa.BigInteger)),
    "labels": entity_of(source_of(note=sa.Enum("a", "b", name="e"))),
    "other labels": entity_of(source_of(note=sa.Enum("a", "c", name="e"))),
    "zone": entity_of(source_of(at=sa.DateTime())),
}


@pytest.mark.parametrize("change", CHANGED)
def test_it_changes_with_every_rule(change: str) -> None:
    assert entity_fingerprint(CHANGED[change]) != entity_fingerprint(ENTITY)


def test_no_two_changes_have_one_fingerprint() -> None:
    assert len(set(map(entity_fingerprint, CHANGED.values()))) == len(CHANGED)


def test_it_changes_where_a_column_becomes_not_null() -> None:
    source = source_of()
    source.c.note.nullable = False
    assert entity_fingerprint(entity_of(source)) != entity_fingerprint(ENTITY)


SAME = {
    "declared again": entity_of(source_of()),
    "tags": replace(ENTITY, table=replace(TABLE, tags={"Environment": "staging"})),
    "billing": replace(ENTITY, table=replace(TABLE, billing=Provisioned(5, 5))),
    "stream": replace(ENTITY, table=replace(TABLE, stream=None)),
    "recovery": replace(ENTITY, table=replace(TABLE, point_in_time_recovery=False)),
    "encryption": replace(ENTITY, table=replace(TABLE, encryption=False)),
    "projection": replace(
        ENTITY, table=replace(TABLE, indexes=(*(replace(i, projection="KEYS_ONLY") for i in TABLE.indexes),))
    ),
    "an unused column": entity_of(source_of(unused=sa.Text)),
    "order of indexes": replace(ENTITY, table=replace(TABLE, indexes=TABLE.indexes[::-1])),
}


@pytest.mark.parametrize("change", SAME)
def test_it_does_not_change_with_what_makes_no_item(change: str) -> None:
    assert entity_fingerprint(SAME[change]) == entity_fingerprint(ENTITY)


def test_the_models_changes_with_its_entities_and_not_with_its_patterns() -> None:
    model = Model("model", [ENTITY])
    assert model.fingerprint == Model("renamed", [ENTITY], MODEL.patterns).fingerprint
    assert model.fingerprint != Model("model", [CHANGED["ttl"]]).fingerprint
    assert model.fingerprint != Model("model", [ENTITY, CHANGED["name"]]).fingerprint


def test_a_key_of_another_type_is_another_mapping() -> None:
    source = sa.Table("source", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
    string, number = (
        Entity("E", source, replace(TABLE, partition_key=key, sort_key=None, indexes=()), [Item("{id}")])
        for key in (S("PK"), N("PK"))
    )
    assert entity_fingerprint(string) != entity_fingerprint(number)
