"""Keys that change together: those of rows whose entity is atomic, written in one transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from migrator.reconcile.item_key import ItemKey


def groups(marks: Iterable[int], needed: Mapping[int, AbstractSet[ItemKey]]) -> list[set[ItemKey]]:
    """The keys that these marks need, those together that marks have in common: rows that exchange a key go at once."""
    group_of: dict[ItemKey, set[ItemKey]] = {}
    for mark in marks:
        group = set(needed[mark])
        for key in needed[mark]:
            group |= group_of.get(key, frozenset())
        for key in group:
            group_of[key] = group
    return list({id(group): group for group in group_of.values()}.values())
