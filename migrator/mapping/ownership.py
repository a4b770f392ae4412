"""Which row an item belongs to, told from the item's key alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrator.mapping.errors import Unfit
from migrator.mapping.forward import key_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.mapping.entity import Entity
    from migrator.mapping.forward import Row, WireItem
    from migrator.mapping.plan import BoundItem


@dataclass(frozen=True)
class Claim:
    """The one row of `entity` that could own a key: as its item `number`, with these columns' values."""

    entity: Entity
    number: int
    values: Row

    @property
    def row_key(self) -> tuple[str, ...] | None:
        """The row's primary key as text; None where the key holds another unique set."""
        columns = self.entity.key_columns
        return tuple(key_text(self.values[name]) for name in columns) if self.values.keys() >= set(columns) else None


def claims(entities: Iterable[Entity], key: WireItem) -> Iterator[Claim]:
    """The rows that could own an item of this key. Lint sees to it that there is at most one.

    A claim is only that: the row owns the key if it exists and encoding it gives the key again, byte for byte.
    """
    texts = {name: value.get("S", "") for name, value in key.items()}
    for entity in entities:
        for item in entity.plan.items:
            for name, prefix in item.prefixes:
                if not texts.get(name, "").startswith(prefix):
                    # Most keys are of another item: that is told without looking further.
                    break
            else:
                values = key_values(item, key)
                if values is not None:
                    yield Claim(entity, item.number, values)


def columns_told(claim: Claim, key: WireItem) -> Row:
    """What a key tells of the columns of its row.

    Of one that it holds in part, such as an instant to the second, it is a value that the column may have had. Whether
    a row with these columns has the very key is still to be seen.
    """
    told: Row = {}
    for slot in claim.entity.plan.items[claim.number].keys:
        if slot.attribute.type == "S":
            told |= slot.template.left(key[slot.attribute.name]["S"])
    return told | claim.values


def key_values(item: BoundItem, key: WireItem) -> Row | None:
    """The columns' values that an item's key holds whole; None where the key is not of the item's templates."""
    values: Row = {}
    for slot in item.keys:
        value = key.get(slot.attribute.name)
        try:
            parsed = None if value is None else slot.parse(value)
        except Unfit:
            return None
        if parsed is None:
            return None
        for column, found in parsed.items():
            if values.setdefault(column, found) != found:
                return None
    return values
