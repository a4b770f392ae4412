"""What `migrate` says of mapping modules that cannot be used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from migrator.cli.models import load_models
from migrator.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODEL = "from migrator.mapping import Model\nMODEL = Model({name!r}, ())\n"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, whose modules are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("shop")]:
        del sys.modules[name]


def test_models_come_from_the_working_directory_in_the_order_named(directory: Path) -> None:
    (directory / "shop_b.py").write_text(MODEL.format(name="b"))
    (directory / "shop_a.py").write_text(MODEL.format(name="a"))
    assert [model.name for model in load_models(["shop_b", "shop_a", "shop_b"])] == ["b", "a"]


def test_no_name_says_where_to_give_one() -> None:
    with pytest.raises(ConfigurationError, match="No mappings are named") as refused:
        load_models([])
    assert "MIGRATOR_MAPPINGS" in str(refused.value.next_step)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package', at {path}:1"),
        ("x = 1\ny = x / 0\n", "ZeroDivisionError: division by zero, at {path}:2"),
        ("x = (\n", "SyntaxError: '(' was never closed (shop.py, line 1)"),
        ("raise ValueError('two\\nlines')\n", "ValueError: two lines, at {path}:1"),
        ("import json\n\njson.loads('x')\n", "JSONDecodeError: Expecting value: line 1 column 1 (char 0), at {path}:3"),
        ("from migrator.errors import MigratorError\nraise MigratorError('no')\n", "MigratorError: no, at {path}:2"),
    ],
)
def test_a_module_that_does_not_import_says_why_and_where(directory: Path, content: str, cause: str) -> None:
    path = directory / "shop.py"
    path.write_text(content)
    with pytest.raises(ConfigurationError) as refused:
        load_models(["shop"])
    assert refused.value.what == f"The mapping module shop does not import: {cause.format(path=path)}."


@pytest.mark.parametrize("name", ["shop_that_is_not_there", "", ".shop", "shop..a"])
def test_a_name_that_is_no_module_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="does not import"):
        load_models([name])


@pytest.mark.parametrize("content", ["", "MODEL = 1\n"])
def test_a_module_without_a_model_says_what_to_define(directory: Path, content: str) -> None:
    (directory / "shop.py").write_text(content)
    with pytest.raises(ConfigurationError, match="shop defines no model") as refused:
        load_models(["shop"])
    assert "MODEL = Model(" in str(refused.value.next_step)


def test_two_models_of_one_name_are_refused(directory: Path) -> None:
    for module in ("shop_a", "shop_b"):
        (directory / f"{module}.py").write_text(MODEL.format(name="shop"))
    with pytest.raises(ConfigurationError, match="'shop'; the second is shop_b"):
        load_models(["shop_a", "shop_b"])
