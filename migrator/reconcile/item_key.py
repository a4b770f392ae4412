"""An item's key, as what sets and maps are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from migrator.mapping.testimony import key_line, key_of_line

if TYPE_CHECKING:
    from typing import Self

    from migrator.mapping import Table, WireItem


class ItemKey(NamedTuple):
    """The key of an item: its table's name, and its key attributes as one line of JSON, the same for equal keys."""

    table: str
    line: bytes

    @classmethod
    def of(cls, table: Table, item: WireItem) -> Self:
        """The key of an item, which may have other attributes too."""
        return cls(table.name, key_line(item, table.key_attributes))

    def wire(self, table: Table) -> WireItem:
        """The key as DynamoDB takes it."""
        return key_of_line(self.line, table.key_attributes)
