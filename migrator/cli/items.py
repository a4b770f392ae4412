"""Items as a person reads them: an attribute a line, with its type, and secrets left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from migrator.cli.output import printable
from migrator.mapping import plain_item, to_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.mapping import AttributeValue, Entity, WireItem

_INDENT = "  "


def print_row(entity: Entity, key: Sequence[str], items: Sequence[WireItem]) -> None:
    """Print what a row becomes. The values of attributes that are declared encrypted are not shown."""
    console = Console(highlight=False, soft_wrap=True)
    secrets = {each.name for each in (*entity.attributes, *entity.data) if getattr(each, "encrypted", False)}
    count = f"{len(items)} item{'' if len(items) == 1 else 's'}"
    console.print(Text(printable(f"{entity.source_name} ({', '.join(key)}): {count}"), style="bold"))
    for item in items:
        console.print()
        for line in _members(item, secrets, 1):
            console.print(line)
    console.print()


def _members(members: dict[str, AttributeValue], secrets: set[str], depth: int) -> Iterator[Text]:
    width = max(map(len, members), default=0)
    for name, attribute in members.items():
        ((kind, value),) = attribute.items()
        line = Text(_INDENT * depth)
        line.append(printable(name).ljust(width), style="cyan").append(f"  {kind}", style="dim")
        if name in secrets:
            yield line.append("  (secret, not shown)", style="dim")
        elif kind == "M":
            yield line
            # What stands inside a document of the user's own is no attribute of the mapping.
            yield from _members(value, secrets if depth == 1 else set(), depth + 1)
        elif kind == "NULL":
            yield line
        else:
            yield line.append(f"{' ' * (6 - len(kind))}{printable(to_text(plain_item({name: attribute})[name]))}")
