"""How rows of one entity are led back from its items, and which items of a row that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.mapping import Inverse, ItemInverse, Undecodable, Unfit, told_keys
from migrator.mapping.ownership import key_values
from migrator.reconcile.drafts import Drafts
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from migrator.mapping import Entity, Row, WireItem
    from migrator.reconcile.lookup import Lookup


class Way:
    """The way back of one entity. It holds what rows became lately.

    Attributes:
        entity: the entity.
        lookup: finds its rows.
        drafts: what its rows become.
        columns: the columns that come back.
        needed: the numbers of the items that a row is led back from: one that holds it whole, or all that always are.
    """

    def __init__(self, lookup: Lookup) -> None:
        entity: Entity = lookup.entity
        self.entity = entity
        self.lookup = lookup
        self.drafts = Drafts(entity)
        self._inverse = Inverse(entity)
        self.columns = self._inverse.columns
        self._parts = [ItemInverse(entity, item) for item in entity.plan.items]
        always = [item.number for item in entity.plan.items if item.condition is None]
        whole = [number for number in always if self._parts[number].columns >= set(self.columns)]
        self.needed = frozenset(whole[:1] or always)

    @property
    def lost(self) -> tuple[str, ...]:
        """The columns that no item holds, and those of the primary key that are left behind: no way back with any."""
        return (*self._inverse.lost, *(name for name in self.lookup.live.key if name not in self.columns))

    def identity(self, row: Row) -> Hashable:
        """Which row it is, the same for values that the source holds for one."""
        kinds = self.entity.plan.kinds
        return self.entity.name, tuple(str(kinds[name].normal(row[name])) for name in self.lookup.live.key)

    def told(self, number: int, item: WireItem) -> Row:
        """What one of its items says of the row's columns.

        Raises:
            Undecodable: it has not the form that the mapping gives it.
        """
        return self._parts[number].part(item) | (key_values(self.entity.plan.items[number], item) or {})

    def keys(self, values: Row) -> frozenset[ItemKey] | None:
        """The keys of the items that a row is led back from, by these of its columns; None where they do not tell."""
        keys = set()
        for number in self.needed:
            slots = self.entity.plan.items[number].keys
            if any(values.get(column) is None for slot in slots for column in slot.template.columns):
                return None
            try:
                wire = {slot.attribute.name: slot.value(values) for slot in slots}
            except Unfit:
                return None
            keys.add(ItemKey.of(self.entity.table, wire))
        return frozenset(keys)

    def check_kind(self, item: WireItem) -> None:
        """See that an item under a key of this entity says to be of it.

        Raises:
            Undecodable: it says otherwise.
        """
        name = self.entity.table.discriminator
        if name is not None and item.get(name, {}).get("S") != self.entity.name:
            raise Undecodable(self.entity.name, name, "it names another entity")

    def row(self, items: Mapping[ItemKey, WireItem]) -> Row:
        """The row that its items of these keys give.

        Raises:
            Undecodable: they do not have the form that the mapping gives them, or the row would have others.
        """
        for item in items.values():
            self.check_kind(item)
        row = self._row(list(items.values()))
        given: Row = {name: row.get(name) for name in self.entity.plan.kinds}
        if self._key_columns <= set(row):
            becoming = {ItemKey.of(self.entity.table, key) for key in told_keys(self.entity, given)}
            if not items.keys() <= becoming:
                raise Undecodable(self.entity.name, "the key", "the row that it holds would stand under another key")
        return row

    def _row(self, items: Sequence[WireItem]) -> Row:
        if len(self.needed) > 1:
            return self._inverse.row(items)
        (number,), (item,) = self.needed, items
        part = self._parts[number].part(item)
        return {name: part[name] for name in self.columns}

    @property
    def _key_columns(self) -> set[str]:
        plan = self.entity.plan
        return {
            column for number in self.needed for slot in plan.items[number].keys for column in slot.template.columns
        }
