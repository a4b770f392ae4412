"""Which rows of a table are looked at, as SQL conditions on it, under the name by which `RowSource` reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.errors import UsageError
from migrator.postgres.identifiers import literal, quoted

if TYPE_CHECKING:
    from datetime import datetime

    from migrator.postgres.catalog import LiveTable

_SHARES: Final = 1_000_000
_INSTANTS: Final = frozenset({"timestamp with time zone", "timestamp without time zone", "date"})


def drawn(live: LiveTable, percent: float, seed: int) -> str:
    """Return the condition that about so many percent of the rows meet, drawn by a hash of their keys.

    Args:
        live: the table.
        percent: above 0.
        seed: decides which rows are drawn; the same ones each time.
    """
    key = ", ".join(f"source.{quoted(name)}::text" for name in live.key)
    hashed = f"hashtextextended(concat_ws(chr(31), {key}), {int(seed)})"
    # The low bits of a 64-bit hash are as good as any, and never negative.
    return f"({hashed} & 4611686018427387903) % {_SHARES} < {round(percent / 100 * _SHARES)}"


def changed_since(live: LiveTable, column: str, moment: datetime) -> str:
    """Return the condition that rows meet whose column says that they were changed at that time or later, or nothing.

    Raises:
        UsageError: the table has no such column, or it holds no instants.
    """
    found = live.column(column)
    if found is None or found.base_type not in _INSTANTS:
        able = [each.name for each in live.columns if each.base_type in _INSTANTS]
        raise UsageError(
            f"{live.table} has no column {column} that says when a row was changed",
            safe="Nothing was read.",
            next_step=f"Name one with --since-column ({', '.join(able)}), if every change sets it; otherwise leave the "
            "table or --since out."
            if able
            else "Leave the table or --since out: nothing in its rows says when they were changed.",
        )
    name = f"source.{quoted(column)}"
    return f"({name} IS NULL OR {name} >= {literal(moment.isoformat())}::timestamptz)"
