"""`migrate preview`: the items that rows become, from the source and from one row given as JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.project import ROOT, UNFIT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.project import Project

GOLDEN = json.loads((ROOT / "tests" / "golden" / "miyabi.json").read_text(encoding="utf-8"), parse_float=Decimal)
MIYABI = ("--mappings", "mappings.miyabi")


def exact(text: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize("case", GOLDEN, ids=[case["table"] for case in GOLDEN])
def test_a_golden_row_gives_its_golden_items(project: Project, case: dict[str, Any]) -> None:
    (project.directory / "row.json").write_text(json.dumps(case["row"], default=str))
    done = project.through(DATABASE_URL=None).here("preview", case["table"], *MIYABI, "--row", "row.json", "--json")
    assert exact(done.succeeded().out) == case["items"]
    assert done.out.count("\n") == 1


def test_a_row_on_stdin_needs_no_store(project: Project) -> None:
    nowhere = project.through(DATABASE_URL=None, AWS_ENDPOINT_URL=None, AWS_ACCESS_KEY_ID=None, AWS_REGION=None)
    row = '{"id": 12345678901234567, "name": null, "token": "t"}'
    done = nowhere.migrate("preview", "customers", "--row", "-", "--json", stdin=row).succeeded()
    assert exact(done.out) == [
        {"PK": "CUSTOMER#12345678901234567", "SK": "PROFILE", "Kind": "CUSTOMER", "token": "t"},
    ]


def test_numbers_are_exact(project: Project) -> None:
    digits = "12345678901234567890123456789.123456789"
    row = f'{{"customer_id": 1, "number": "a", "total": 0.10, "details": {{"n": {digits}, "small": 1e-7}}}}'
    (project.directory / "row.json").write_text(row)
    done = project.here("preview", "orders", "--row", "row.json", "--json").succeeded()
    item, lookup = exact(done.out)
    assert f'"n": {digits}' in done.out
    assert item["details"] == lookup["details"] == {"n": Decimal(digits), "small": Decimal("1E-7")}
    assert item["total"] == Decimal("0.1")


def test_rows_of_the_source_in_the_order_of_their_key(prepared: Project) -> None:
    lines = prepared.here("preview", "customers", "--limit", "3", "--json").succeeded().out.splitlines()
    assert [exact(line)[0]["PK"] for line in lines] == ["CUSTOMER#1", "CUSTOMER#2", "CUSTOMER#3"]
    assert prepared.here("preview", "orders", "--json").succeeded().out.count("\n") == 5


def test_rows_by_their_keys(prepared: Project) -> None:
    prepared.database.execute("insert into orders values (9, 'a,b', 1), (9, 'a\"b', 2)")
    keys = ("--key", "2,o-1", "--key", '9,"a,b"', "--key", '9,"a""b"')
    lines = prepared.here("preview", "orders", *keys, "--json").succeeded().out.splitlines()
    assert [exact(line)[0]["SK"] for line in lines] == ["ORDER#o-1", "ORDER#a,b", 'ORDER#a"b']
    (line,) = prepared.here("preview", "customers", "--key", "7", "--json").succeeded().out.splitlines()
    assert exact(line)[0]["PK"] == "CUSTOMER#7"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("customers", "--key", "99"), 1, "customers has no row with the key (99)"),
        (("customers", "--key", "x"), 2, "cannot be read as (id bigint)"),
        (("orders", "--key", "1"), 2, "the primary key of orders is (customer_id, number)"),
        (("orders", "--key", '1,"o'), 2, "the primary key of orders is (customer_id, number)"),
        (("orders", "--key", "1,a", "--limit", "2"), 2, "exclude each other"),
        (("orders", "--row", "no-such-file"), 2, "No such file"),
    ],
)
def test_a_question_that_has_no_answer(prepared: Project, arguments: tuple[str, ...], code: int, words: str) -> None:
    prepared.here("preview", *arguments).failed(code, words)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "row.json is not JSON"),
        ("[]", "row.json holds no JSON object"),
        ('{"id": NaN}', "NaN is not JSON"),
        ('{"id": 1, "colour": "red"}', "customers has no column colour"),
        ('{"name": "secret"}', "no value of id"),
        ('{"id": "secret"}', "customers, column id: a whole JSON number"),
    ],
)
def test_a_row_that_is_none(project: Project, tmp_path: Path, row: str, words: str) -> None:
    (tmp_path / "row.json").write_text(row)
    done = project.here("preview", "customers", "--row", "row.json").failed(2, words)
    assert "secret" not in done.err


def test_a_row_file_that_is_not_utf_8(project: Project, tmp_path: Path) -> None:
    (tmp_path / "row.json").write_bytes(b'{"name": "\xff"}')
    project.here("preview", "customers", "--row", "row.json").failed(2, "is not UTF-8 text")


def test_a_row_that_has_no_exact_items(prepared: Project) -> None:
    prepared.database.execute(f"update orders set {UNFIT} where number in ('o-7', 'o-14')")  # noqa: S608 - no input's
    done = prepared.here("preview", "orders", "--limit", "20")
    words = ("orders (1, o-14), column details", "39 significant digits", "1 other row", "form=TEXT")
    done.failed(1, *words)
    assert "12345678901234567890" not in done.err
    assert done.out.count("2 items") == 18


def test_a_person_is_shown_types_and_no_secrets(prepared: Project) -> None:
    prepared.database.execute("insert into customers values (0, E'\\x1b[31mred', 'hidden')")
    done = prepared.here("preview", "customers", "--limit", "2").succeeded()
    assert "customers (0): 1 item\n" in done.out
    assert '  PK        S     "CUSTOMER#0"\n' in done.out
    assert '  Name      S     "\\u001b[31mred"\n' in done.out
    assert "  token     S  (secret, not shown)\n" in done.out
    assert "hidden" not in done.out
    assert done.err.count("warning: CUSTOMER: Attribute token is declared encrypted") == 1
    document = prepared.here("preview", "orders", "--key", "2,o-1").succeeded().out
    assert "  details  M\n    line  N     1\n" in document
