"""Small declarations for tests that look at one thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from migrator.mapping import (
    ALL,
    Attribute,
    Encoder,
    Entity,
    Index,
    Item,
    Model,
    S,
    Table,
    Unencodable,
    forward,
    lint,
)
from migrator.mapping.plan import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Encoded, Pattern, Row, WireItem

TABLE = Table(
    "target",
    partition_key=S("PK"),
    sort_key=S("SK"),
    indexes=(Index("GSI1", S("GSI1PK"), S("GSI1SK")), Index("GSI2", S("GSI2PK"))),
    ttl="TTL",
    discriminator="Type",
    envelope="Data",
)
ITEM = Item("ROW#{id}", "METADATA")


def table_of(*columns: sa.Column[Any], name: str = "source") -> sa.Table:
    """A source table with a primary key `id` of type text, and these columns."""
    return sa.Table(name, sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), *columns)


def entity_of(*columns: sa.Column[Any], items: Sequence[Item] = (ITEM,), **changes: Any) -> Entity:  # noqa: ANN401 - Entity's own fields
    """An entity that holds each column in an attribute of its name, unless `changes` say otherwise."""
    source = table_of(*columns)
    fields: dict[str, Any] = {
        "name": "ENTITY",
        "source": source,
        "table": TABLE,
        "items": items,
        "attributes": [Attribute(column.name, source.columns[column.name]) for column in columns],
        **changes,
    }
    return Entity(**fields)


def encoded(entity: Entity, *rows: Row, now: int | None = None) -> Encoded:
    """What the compiled encoder makes of rows, in which columns may be left out for NULL."""
    values = [[row.get(each.name) for each in entity.projection] for row in rows]
    return Encoder(entity).encode(values) if now is None else Encoder(entity).encode(values, now)


def items_of(entity: Entity, row: Row) -> list[WireItem]:
    """The items of a row, in which columns may be left out for NULL."""
    return forward(entity, whole(entity, row))


def refusal(entity: Entity, row: Row) -> Unencodable:
    """Why a row has no items; both paths must refuse it, and in the same words."""
    (failure,) = encoded(entity, row).failures
    with pytest.raises(Unencodable) as readable:
        items_of(entity, row)
    assert str(readable.value) == str(failure)
    return readable.value


def whole(entity: Entity, row: Row) -> Row:
    """The row with every column that the entity uses."""
    return {name: row.get(name) for name in (each.name for each in entity.projection)}


def errors(*entities: Entity, patterns: Sequence[Pattern] = ()) -> list[str]:
    """The sentences that lint has for a model of these entities."""
    return [problem.sentence for problem in lint(Model("model", entities, patterns)) if problem.severity == "error"]


__all__ = [
    "ALL",
    "BOUNDS",
    "ITEM",
    "TABLE",
    "encoded",
    "entity_of",
    "errors",
    "items_of",
    "refusal",
    "table_of",
    "whole",
]
