"""What a repository refuses, and the classes that it makes; no store is asked."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum

import pydantic
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import INTERVAL, JSONB
from sqlalchemy.orm import sessionmaker

from mappings.miyabi import MODEL
from migrator.app import Router
from migrator.app.repository import Repository
from migrator.errors import ConfigurationError, UsageError
from migrator.mapping import Attribute, Entity, Item, Model, S, Table

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TABLE = Table("t", partition_key=S("PK"))


def repository(name: str, model: Model = MODEL) -> Repository:
    return Repository(Router(model), name, sessionmaker())


def of_column(column: sa.Column[object], *, dropped: bool = False) -> Model:
    source = sa.Table("things", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), column)
    return Model("m", [Entity("THING", source, TABLE, [Item("T#{id}")], [] if dropped else [Attribute("x", column)])])


def test_what_names_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="has no entity NOBODY"):
        repository("NOBODY")
    tasks = repository("TASK")
    with pytest.raises(UsageError, match="TASK has no access pattern AP1"):
        tasks.query("AP1", id="x")
    with pytest.raises(UsageError, match=r"a row of TASK is read by \(user_id, id\); given: id"):
        tasks.get(id="x")
    with pytest.raises(UsageError, match="takes user_id; given: nothing"):
        tasks.query("AP6")


def test_a_record_is_typed_and_immutable() -> None:
    organizations = repository("ORGANIZATION").record
    assert organizations.__name__ == "Organization"
    made = organizations(id="a", name="b", created_at=NOW, updated_at=NOW)
    assert made.plan is None
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        setattr(made, "plan", "c")  # noqa: B010 - what mypy would not let pass
    for wrong in ({"name": None}, {"github_org_id": "many"}, {"nothing": 1}, {"created_at": "yesterday"}):
        with pytest.raises(pydantic.ValidationError):
            organizations(**{"id": "a", "name": "b", "created_at": NOW, "updated_at": NOW, **wrong})


def test_a_record_of_another_entity_a_wrong_copy_and_another_key_are_not_put() -> None:
    organizations, users = repository("ORGANIZATION"), repository("USER")
    made = organizations.record(id="a", name="b", created_at=NOW, updated_at=NOW)
    with sessionmaker()() as session:
        with pytest.raises(UsageError, match="a record of USER is expected"):
            users.put(session, made)
        with pytest.raises(pydantic.ValidationError):
            organizations.put(session, made.model_copy(update={"name": None}))
        read = organizations._items.shape.of_source({**made.model_dump()})  # noqa: SLF001 - as if it was read
        with pytest.raises(UsageError, match="keeps its key"):
            organizations.put(session, read.model_copy(update={"id": "c"}))


def test_instants_are_in_utc_from_wherever_they_come() -> None:
    shape = repository("ORGANIZATION")._items.shape  # noqa: SLF001 - what both stores' values become
    at = NOW.astimezone(timezone(timedelta(hours=9)))
    values = dict.fromkeys(shape.columns) | {"id": "a", "name": "b", "created_at": at, "updated_at": at}
    text = "2026-01-02 00:00:00+00"
    row = values | {"created_at": text, "updated_at": text}
    assert shape.of_source(values) == shape.of_row(row)
    assert shape.of_row(row).created_at.tzinfo is UTC
    assert str(shape.of_source(values)) == str(shape.of_row(row))


def test_names_that_a_model_has_itself_get_an_underscore() -> None:
    for name, field in (("schema", "schema_"), ("class", "class_"), ("model_name", "model_name_"), ("_x", "x_")):
        record = repository("THING", of_column(sa.Column(name, sa.Integer))).record
        assert record(**{"id": "a", name: 1}) == record(**{"id": "a", field: 1})


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize("type_", [INTERVAL(), sa.Enum(Colour), sa.Numeric(asdecimal=False)])
def test_types_that_no_model_holds_as_both_stores_do(type_: sa.types.TypeEngine[object]) -> None:
    with pytest.raises(ConfigurationError, match="no model can hold"):
        repository("THING", of_column(sa.Column("x", type_)))


def test_a_row_that_no_item_holds_whole() -> None:
    with pytest.raises(ConfigurationError, match="no item of THING holds a row whole"):
        repository("THING", of_column(sa.Column("x", JSONB), dropped=True))


def test_records_remember_what_they_were_read_as_when_they_are_pickled() -> None:
    shape = repository("ORGANIZATION")._items.shape  # noqa: SLF001 - as if it was read
    values = dict.fromkeys(shape.columns) | {"id": "a", "name": "b", "created_at": NOW, "updated_at": NOW}
    read = shape.of_source(values)
    assert read.model_copy(update={"name": "c"})._read == read._read == values  # noqa: SLF001 - what put compares
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(read)
