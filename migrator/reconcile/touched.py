"""The item keys that a mark touches: those of the row before, and those of the row as it is."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import orjson

from migrator.mapping import told_keys
from migrator.postgres import pending
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Row
    from migrator.postgres.connection import Connection
    from migrator.postgres.pending import PendingMark
    from migrator.reconcile.lookup import Lookup


class Touched:
    """What marks say of their rows, turned back into values by the source. Of one source table.

    Args:
        lookups: the entities of the source table's rows.
        marks: the marks.
    """

    def __init__(self, lookups: Sequence[Lookup], marks: Sequence[PendingMark]) -> None:
        self.lookups = lookups
        self.marks = marks
        self.row_keys: dict[int, Row] = {}
        self.old_keys: dict[int, set[ItemKey]] = defaultdict(set)
        self.reasons: dict[int, str] = {}

    async def read(self, connection: Connection) -> None:
        """Reads the marks' values.

        Raises:
            SourceError: PostgreSQL cannot be reached, or the table is not what the mapping declares any more.
        """
        live, first = self.lookups[0].live, self.lookups[0].entity
        keyed = [mark for mark in self.marks if self._holds(mark, mark.row_key, set(live.key))]
        rows = await pending.values(connection, live, first.projection, [mark.row_key or "" for mark in keyed])
        self.row_keys = {mark.id: row for mark, row in zip(keyed, rows, strict=True)}
        changed = [mark for mark in self.marks if self._holds(mark, mark.old_key, self._columns)]
        for lookup in self.lookups:
            old = await pending.values(
                connection, live, lookup.entity.projection, [mark.old_key or "" for mark in changed]
            )
            for mark, row in zip(changed, old, strict=True):
                self._take_old(mark.id, lookup, row)
        for mark in self.marks:
            if mark.operation == "truncate":
                self.reasons[mark.id] = "TRUNCATE leaves no keys: the table has to be brought up to date as a whole"

    @property
    def _columns(self) -> set[str]:
        """The columns of which item keys are made."""
        items = (item for lookup in self.lookups for item in lookup.entity.plan.items)
        return {column for item in items for slot in item.keys for column in slot.template.columns}

    def _holds(self, mark: PendingMark, document: str | None, columns: set[str]) -> bool:
        """Whether a mark holds these columns; one made before capture noted all of them has to be set aside."""
        if document is None:
            return False
        lacking = columns - orjson.loads(document).keys()
        if lacking:
            self.reasons[mark.id] = (
                f"the change was marked before capture noted {', '.join(sorted(lacking))}, so its keys are not all "
                "known: it ends when `migrate verify --repair` finds the table equal"
            )
        return not lacking

    def _take_old(self, mark: int, lookup: Lookup, row: Row) -> None:
        # Where there is none, no item can have it; or the mark names one item of a row of which no more is known.
        self.old_keys[mark] |= {ItemKey.of(lookup.entity.table, key) for key in told_keys(lookup.entity, row)}
