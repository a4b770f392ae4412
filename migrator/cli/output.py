"""What a command hands to stdout: data, and nothing else."""

from __future__ import annotations

import orjson
import rich_click as click


def print_json(value: object) -> None:
    """Print one JSON document, indented, with numbers as numbers."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
