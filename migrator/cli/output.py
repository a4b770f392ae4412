"""What a command hands to stdout: data, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import orjson
import rich_click as click
from rich.cells import cell_len

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_json(value: object) -> None:
    """Print one JSON document, indented, with numbers as numbers; keys may be of a class that derives from str."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def print_table(header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Print rows under a header, aligned; numbers to the right, with separators of thousands."""
    kept = list(rows)
    lines = [list(header), *([f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in kept)]
    right = [bool(kept) and all(isinstance(row[number], int) for row in kept) for number in range(len(header))]
    widths = [max(cell_len(line[number]) for line in lines) for number in range(len(header))]
    for line in lines:
        cells = (
            " " * (width - cell_len(cell)) + cell if to_right else cell + " " * (width - cell_len(cell))
            for cell, width, to_right in zip(line, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Return text that a terminal shows as it is: control characters and their kin are escaped as JSON escapes them."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)
