"""What is told of attributes that differ, where values are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from migrator.engines.verify.judging.values import LONGEST, WITHHELD, told
from migrator.mapping import ALL, Attribute, Entity, Item, S, Table

if TYPE_CHECKING:
    from migrator.mapping import WireItem

ENVELOPED = Table("t", partition_key=S("PK"), envelope="Data")
_notes = sa.Table("notes", sa.MetaData(), sa.Column("id", sa.Text, primary_key=True), sa.Column("word", sa.Text))
NOTE = Entity(
    "NOTE",
    source=_notes,
    table=ENVELOPED,
    items=[Item("NOTE#{id}", data=ALL)],
    data=[Attribute("word", _notes.c.word, encrypted=True)],
)


def test_attributes_and_members_are_told_as_dynamodb_json() -> None:
    expected: WireItem = {"PK": {"S": "NOTE#1"}, "Data": {"M": {"count": {"N": "1"}, "same": {"S": "x"}}}}
    found: WireItem = {
        "PK": {"S": "NOTE#1"},
        "Data": {"M": {"count": {"N": "2"}, "same": {"S": "x"}}},
        "stray": {"S": "y"},
    }
    assert told(ENVELOPED, NOTE, ["Data.count", "stray"], expected, found) == {
        "Data.count": ('{"N":"1"}', '{"N":"2"}'),
        "stray": (None, '{"S":"y"}'),
    }


def test_what_is_declared_encrypted_is_never_told() -> None:
    expected: WireItem = {"Data": {"M": {"word": {"S": "swordfish"}}}}
    assert told(ENVELOPED, NOTE, ["Data.word"], expected, {"Data": {"M": {}}}) == {"Data.word": (WITHHELD, None)}


def test_a_long_value_is_cut() -> None:
    ((shown, _),) = told(ENVELOPED, NOTE, ["a"], {"a": {"S": "x" * 1000}}, {}).values()
    assert shown is not None
    assert len(shown) == LONGEST + 1
