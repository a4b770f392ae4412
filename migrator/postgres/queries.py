"""Named SQL: reads a file of statements, each under a line `-- name: ...` and a comment that says what it does."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def named_statements(file: str) -> dict[str, str]:
    """Return the statements of a file of this package, by name, in the order of the file."""
    _, *parts = _NAME.split(files(__package__).joinpath(file).read_text(encoding="utf-8"))
    return {name: statement.strip() for name, statement in zip(parts[::2], parts[1::2], strict=True)}


QUERIES: Final[Mapping[str, str]] = named_statements("queries.sql")
