"""`migrate lint`, on mapping modules as a user writes them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from migrator.cli import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP = """
import sqlalchemy as sa

from migrator.mapping import Attribute, Entity, Item, Model, S, Table

orders = sa.Table(
    "orders",
    sa.MetaData(),
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("customer", sa.Text, nullable={nullable}),
)
ORDER = Entity(
    "ORDER",
    source=orders,
    table=Table("shop", partition_key=S("PK"), sort_key=S("SK")),
    items=[Item("CUSTOMER#{{customer}}", "ORDER#{{id}}")],
    attributes=[Attribute("token", orders.c.customer, encrypted={encrypted})],
)
MODEL = Model("shop", [ORDER])
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    yield tmp_path
    sys.modules.pop("shop", None)


def declare(directory: Path, *, nullable: bool = False, encrypted: bool = False) -> None:
    (directory / "migrator.toml").write_text('mappings = "shop"\n')
    (directory / "shop.py").write_text(SHOP.format(nullable=nullable, encrypted=encrypted))


def test_a_sound_mapping_is_0(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(directory)
    assert run(["lint"]) == 0
    assert capsys.readouterr().out == "shop: 1 entity, 0 errors, 0 warnings\n"


def test_a_warning_is_shown_and_leaves_0(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(directory, encrypted=True)
    assert run(["lint"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("warning: ORDER: Attribute token is declared encrypted")
    assert shown.endswith("shop: 1 entity, 0 errors, 1 warning\n")


def test_an_error_is_shown_and_1(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(directory, nullable=True)
    assert run(["lint"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("error: ORDER: Item 0: column customer in key 'CUSTOMER#{customer}' can be NULL")
    assert out.endswith("shop: 1 entity, 1 error, 0 warnings\n")
    assert err == ""


def test_json_is_one_document(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(directory, nullable=True)
    assert run(["lint", "--json"]) == 1
    [model] = json.loads(capsys.readouterr().out)["models"]
    assert model["name"] == "shop"
    assert len(bytes.fromhex(model["fingerprint"])) == 16
    assert [(problem["severity"], problem["where"]) for problem in model["problems"]] == [("error", "ORDER")]


def test_an_option_names_other_mappings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lint", "--mappings", "mappings.miyabi"]) == 0
    assert "miyabi: 11 entities, 0 errors" in capsys.readouterr().out


def test_a_module_that_does_not_import_is_4(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "shop.py").write_text("import nothing_of_this_name\n")
    assert run(["lint", "--mappings", "shop"]) == 4
    shown = capsys.readouterr().err
    assert "error: The mapping module shop does not import: ModuleNotFoundError" in shown
    assert "shop.py:1" in shown
    assert "Traceback" not in shown


def test_no_mappings_are_4(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lint"]) == 4
    assert "next: Set MIGRATOR_MAPPINGS" in capsys.readouterr().err
