"""Rows that are known to have been written while capture was off: what the system's own columns give away of that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.postgres.identifiers import literal
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection
    from migrator.postgres.rows import Key

# The trigger is another version than the one on record, so what it has missed has not been accepted. It is disabled,
# and the row was written by the transaction that did that, or by a later one; or it is enabled again by the very
# transaction that wrote the row. What others wrote between the two is not known: a trigger keeps no time of its past.
_UNMARKED: Final = """EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS capture
    JOIN migrator.captures ON captures.source = {source}
    WHERE capture.tgrelid = source.tableoid AND capture.tgname = 'migrator_capture'
      AND captures.state #>> ARRAY[capture.tgrelid::text, 'triggers', capture.tgname::text, 'version']
          <> capture.xmin::text
      AND (source.xmin::text = capture.xmin::text
           OR capture.tgenabled = 'D' AND age(source.xmin) BETWEEN 0 AND age(capture.xmin))
)"""


@dataclass(frozen=True, slots=True)
class _Selected:
    column: str
    expression: str


async def unmarked(connection: Connection, live: LiveTable, keys: Sequence[Key]) -> list[bool]:
    """Return of each of these rows whether its last change is known to have left no mark.

    Args:
        connection: a session, as a rule in the transaction whose snapshot is to be told of.
        live: the table.
        keys: primary keys that rows have.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not read the table or the toolkit's schema.
    """
    if not keys:
        return []
    expression = _UNMARKED.format(source=literal(str(live.table)))
    # The expression names no column: braces in the source's name are none of a projection.
    selected = _Selected(live.key[0], expression.replace("{", "{{").replace("}", "}}"))
    found = await RowSource(live, [selected]).by_keys(connection, keys)
    return [record is not None and record[0] for record in found]
