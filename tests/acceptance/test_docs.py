"""What the documentation shows is what happens: its commands run here, on stores started for the tests.

A fence marked `console` is run: lines that begin with `$ ` are commands, the others are output that must appear, in
order; `…` stands for any text. A command has to end with 0, or with the code that a comment behind it names:
`$ migrate verify  # exit code 3`. A fence with a `title` is a file that is there when the commands after it run. Fences
marked otherwise (`sh`, `toml`, `text`) are for the reader alone.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import preloaded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.stores import Database, DynamoDBStore

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
EXIT_CODE = re.compile(r"# exit code (\d+)$")
SECONDS = 120
MODULES = {"alembic": "alembic", "migrate": "migrator"}
"""What is run for a command of one of these names: its module."""
SHELL_ONLY = set("|&;<>$`*?~")
"""What a shell does something with, in an otherwise plain command."""


@dataclass(frozen=True)
class Command:
    """A command of a page: what a shell is given, and what is expected of it."""

    text: str
    output: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        named = EXIT_CODE.search(self.text)
        return int(named[1]) if named else 0

    @property
    def pattern(self) -> str:
        lines = [".*?".join(re.escape(part) for part in line.split("…")) for line in self.output if line.strip()]
        return ".*?".join(lines)


@dataclass(frozen=True)
class File:
    """A file that a page shows whole."""

    name: str
    content: str


def steps(page: str) -> Iterator[Command | File]:
    """Yield what a page does, in its order."""
    for indent, language, options, body in FENCE.findall(page):
        content = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        title = TITLE.search(options)
        if title:
            yield File(title[1], content)
        if language == "console":
            yield from commands(content)


def commands(fence: str) -> Iterator[Command]:
    """Yield the commands of one fence."""
    for block in re.split(r"^\$ ", fence, flags=re.MULTILINE)[1:]:
        lines = block.splitlines()
        count = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        yield Command("\n".join(lines[:count]), tuple(lines[count:]))


def pages() -> list[str]:
    """List the pages that run something."""
    found = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    return [
        str(path.relative_to(ROOT))
        for path in found
        if any(isinstance(step, Command) for step in steps(path.read_text(encoding="utf-8")))
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A directory that has what a reader's checkout has, and none of the settings of whoever runs the tests."""
    for name in ("alembic", "alembic.ini", "mappings", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def emptied(dynamodb: DynamoDBStore) -> Iterator[DynamoDBStore]:
    """A DynamoDB that keeps no table of a page: pages name the tables of the model itself."""
    client = dynamodb.client()
    before = set(client.list_tables()["TableNames"])
    yield dynamodb
    for name in set(client.list_tables()["TableNames"]) - before:
        client.delete_table(TableName=name)
    client.close()


def ran(text: str, directory: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command as a shell does; return its exit code and what it has shown."""
    words = shlex.split(text, comments=True)
    if words[0] in MODULES and not SHELL_ONLY.intersection(text):
        done = preloaded.Command([MODULES[words[0]], *words[1:]], directory, environment, SECONDS).show()
        return done.code, done.text
    ended = subprocess.run(
        ["/bin/sh", "-c", text],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("page", pages())
def test_a_page_does_what_it_shows(page: str, checkout: Path, database: Database, emptied: DynamoDBStore) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = os.environ | database.environment() | emptied.environment() | {"PATH": path, "COLUMNS": "120"}
    for step in steps((ROOT / page).read_text(encoding="utf-8")):
        if isinstance(step, File):
            (checkout / step.name).write_text(step.content, encoding="utf-8")
            continue
        code, shown = ran(step.text, checkout, environment)
        assert code == step.exit_code, f"$ {step.text}\n{shown}"
        assert re.search(step.pattern, shown, re.DOTALL), f"$ {step.text}\n{shown}"


def test_a_page_is_read_as_its_fences_say() -> None:
    page = """
Text with `code`.

```python title="shop.py"
x = 1
```

1. Indented:

    ```console
    $ first \\
        --option
    shown, …: here

    and there
    $ second  # exit code 3
    ```

```sh
not run
```
"""
    assert list(steps(page)) == [
        File("shop.py", "x = 1\n"),
        Command("first \\\n    --option", ("shown, …: here", "", "and there")),
        Command("second  # exit code 3", ()),
    ]
    [_, first, second] = steps(page)
    assert isinstance(first, Command)
    assert isinstance(second, Command)
    assert re.search(first.pattern, "shown, say: here\nanything\nand there", re.DOTALL)
    assert not re.search(first.pattern, "and there\nshown, say: here", re.DOTALL)
    assert (first.exit_code, second.exit_code) == (0, 3)
