"""The values of attributes that differ, as text, for whoever asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.mapping import Entity, Table, WireItem

LONGEST: Final = 200
"""Characters of a value that are kept; ten thousand differences have to fit in memory."""
WITHHELD: Final = "(declared encrypted, not shown)"


def told(
    table: Table, entity: Entity | None, names: Iterable[str], expected: WireItem, found: WireItem
) -> dict[str, tuple[str | None, str | None]]:
    """What each of these attributes should be and is, as DynamoDB JSON; members of the envelope are named with it."""
    members = () if entity is None else (*entity.attributes, *entity.data)
    secrets = {each.name for each in members if getattr(each, "encrypted", False)}
    prefix = f"{table.envelope}."
    values = {}
    for name in names:
        within = name.removeprefix(prefix)
        pair = (expected, found) if within == name else (_map(expected, table), _map(found, table))
        should, actual = (_text(each.get(within)) for each in pair)
        values[name] = (should and WITHHELD, actual and WITHHELD) if within in secrets else (should, actual)
    return values


def _map(item: WireItem, table: Table) -> dict[str, Any]:
    members: dict[str, Any] = item.get(table.envelope or "", {}).get("M", {})
    return members


def _text(value: dict[str, Any] | None) -> str | None:
    if value is None:
        return None
    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
