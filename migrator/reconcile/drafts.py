"""What rows become: the items of each, and the keys it owns, made once though several snapshots see the same row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from migrator.mapping import Encoder, Unencodable, owned_keys
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from migrator.mapping import Entity, Row

_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class Draft:
    """What a row becomes.

    Attributes:
        items: by key, the text of each item; none where they cannot be made.
        why: why they cannot be made; None where they can.
        owned: the keys that the row owns, whether or not an item is to be there.
        unsaid: why it cannot be said which keys it owns; None where it can.
    """

    items: Mapping[ItemKey, bytes]
    why: str | None
    owned: frozenset[ItemKey]
    unsaid: str | None


class Drafts:
    """Makes the drafts of one entity's rows. Holds an encoder, and the latest drafts by what the rows held."""

    def __init__(self, entity: Entity) -> None:
        self._entity = entity
        self._encoder = Encoder(entity)
        self._conditional = any(item.condition is not None for item in entity.plan.items)
        self._known: dict[Hashable, Draft] = {}

    def of(self, row: Row) -> Draft:
        """The draft of a row. It is a matter of the row's values alone."""
        values = tuple(row.values())
        try:
            draft = self._known.get(values)
        except TypeError:
            # An array, as a list, is no key of a dict.
            return self._made(row)
        if draft is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            draft = self._known[values] = self._made(row)
        return draft

    def _made(self, row: Row) -> Draft:
        encoded = self._encoder.encode([list(row.values())])
        table = self._entity.table
        items = {ItemKey.of(table, orjson.loads(item)): item for item in encoded.items}
        if not encoded.failures and not self._conditional:
            return Draft(items, None, frozenset(items), None)
        why = encoded.failures[0].why if encoded.failures else None
        try:
            owned = frozenset(ItemKey.of(table, key) for key in owned_keys(self._entity, row))
        except Unencodable as error:
            return Draft(items, why, frozenset(), error.why)
        return Draft(items, why, owned, None)
