"""The files of named SQL."""

from __future__ import annotations

from importlib.resources import files

import pytest

import migrator.postgres
from migrator.postgres.identifiers import TableName, literal, quoted
from migrator.postgres.queries import QUERIES, named_statements


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_each_query_says_above_it_what_it_does_and_is_used(name: str) -> None:
    assert QUERIES[name].startswith("-- ")
    modules = [path.read_text() for path in files(migrator.postgres).iterdir() if path.name.endswith(".py")]
    assert any(f'QUERIES["{name}"]' in module for module in modules)


def test_versions_of_the_schema_are_numbered_from_one() -> None:
    names = list(named_statements("schema.sql"))
    assert names == [f"version_{number}" for number in range(1, len(names) + 1)]


@pytest.mark.parametrize(
    ("name", "sql"),
    [
        (TableName("users"), '"users"'),
        (TableName("Users", "my schema"), '"my schema"."Users"'),
        (TableName('a"; drop table x; --'), '"a""; drop table x; --"'),
    ],
)
def test_a_table_name_is_quoted(name: TableName, sql: str) -> None:
    assert name.sql == sql


def test_a_column_name_is_quoted() -> None:
    assert quoted('sel"ect') == '"sel""ect"'


@pytest.mark.parametrize(
    ("text", "sql"), [("plain", "'plain'"), ("it's", "'it''s'"), ("a\\'b", r"E'a\\''b'"), ("$1 :x %s", "'$1 :x %s'")]
)
def test_a_text_is_a_literal_under_every_setting(text: str, sql: str) -> None:
    assert literal(text) == sql
