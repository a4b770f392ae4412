"""Tables, JSON and text as commands print them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.sql.elements import quoted_name

from migrator.cli.output import print_json, print_table, printable

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([("users", 1200, "done"), ("t", 7, "")], ["table   rows  state", "users  1,200  done", "t          7"]),
        ([("利用者", 1, "x")], ["table   rows  state", "利用者     1  x"]),
        ([], ["table  rows  state"]),
    ],
)
def test_a_table_is_aligned(
    capsys: pytest.CaptureFixture[str], rows: list[Sequence[str | int]], lines: list[str]
) -> None:
    print_table(("table", "rows", "state"), rows)
    assert capsys.readouterr().out.splitlines() == lines


def test_names_of_sqlalchemy_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    name = quoted_name("users", quote=True)
    print_json({name: [name, 1]})
    assert json.loads(capsys.readouterr().out) == {"users": ["users", 1]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 利用者 😀", "plain é 利用者 😀"),
        ("\x1b[31m", "\\u001b[31m"),
        ("a\nb\t", "a\\nb\\t"),
        ("\x9b\u202e", "\\u009b\\u202e"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
