"""The rules of the house that no tool checks: sizes, and documentation that lists exactly what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import rich_click as click

from migrator import errors
from migrator.cli.group import COMMANDS, load_command
from migrator.errors import MigratorError
from migrator.settings import FileSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
ROOMS = ("migrator", "mappings", "tests", "bench", "alembic", ".ci")
MODULE_LINES = 400
FUNCTION_LINES = 60
COMMON = {"verbose", "debug"}


def modules() -> Iterator[tuple[str, str]]:
    """Yield each module's path in the checkout, and its text."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def functions(text: str) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its length in lines."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def section(page: str, heading: str) -> str:
    """Return the text below a heading of the reference, up to the next one of its level."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


def test_no_module_is_longer_than_400_lines() -> None:
    sizes = {path: text.count("\n") for path, text in modules()}
    assert {path: size for path, size in sizes.items() if size > MODULE_LINES} == {}


def test_a_function_fits_a_screen() -> None:
    sizes = {
        f"{path}:{name}": size
        for path, text in modules()
        # A revision lists a schema; it has no parts to be named.
        if not path.startswith("alembic/versions/")
        for name, size in functions(text)
    }
    assert {where: size for where, size in sizes.items() if size > FUNCTION_LINES} == {}


def test_the_alembic_directory_is_no_package() -> None:
    assert list((ROOT / "alembic").rglob("__init__.py")) == []


def test_one_engine_does_not_import_another() -> None:
    room = ROOT / "migrator" / "engines"
    # An engine is a package; the modules beside them are common ground, and know none of them.
    engines = {path.parent.name for path in room.glob("*/__init__.py")}
    breaches = [
        (str(path.relative_to(room)), imported)
        for path in sorted(room.rglob("*.py"))
        for imported in re.findall(r"\bmigrator\.engines(?:\.| import )(\w+)", path.read_text(encoding="utf-8"))
        if imported in engines and imported != path.relative_to(room).parts[0]
    ]
    assert engines
    assert breaches == []


def test_the_reference_lists_the_commands_that_exist() -> None:
    text = (REFERENCE / "commands.md").read_text(encoding="utf-8")
    assert re.findall(r"^## `migrate (\S+)`$", text, re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_lists_the_options_of_a_command(name: str) -> None:
    options = [each for each in load_command(name).params if isinstance(each, click.Option) and each.name not in COMMON]
    listed = set(re.findall(r"^\| `(?:-\w`, `)?(--[\w-]+)", section("commands.md", f"`migrate {name}`"), re.MULTILINE))
    assert listed == {option.opts[-1] for option in options}


def test_the_reference_lists_the_settings() -> None:
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == list(FileSettings.model_fields)


def test_the_reference_lists_the_exit_codes() -> None:
    text = (REFERENCE / "exit-codes.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    codes = {
        each.exit_code for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MigratorError)
    }
    assert codes <= listed
    assert listed == {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}
