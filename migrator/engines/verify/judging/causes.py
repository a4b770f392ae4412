"""Why a key differs, as far as the item, its row and the marks let it be known. What cannot be known is not guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.engines.verify.findings import Cause, Verdict
from migrator.mapping import claims

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from migrator.engines.verify.judging.expected import Expected
    from migrator.mapping import Entity, Table, WireItem

PROTOCOL: Final = frozenset({"_v", "_del"})


def cause_of(  # noqa: PLR0911 - one way out for each cause
    verdict: Verdict,
    expected: Expected,
    actual: WireItem | None,
    attributes: Sequence[str],
    uncopied: Collection[str],
) -> Cause | None:
    """The cause of a difference of a key that no waiting mark is about.

    Args:
        verdict: what is wrong.
        expected: what the source says of the key.
        actual: what the key holds, tombstones included.
        attributes: those that differ, members of the envelope as `Data.status`.
        uncopied: names of entities whose rows no copy has begun with.
    """
    if expected.set_aside is not None:
        return Cause.POISON
    if expected.entity is None:
        return Cause.FOREIGN_ITEM if verdict is Verdict.EXTRA else None
    if verdict is Verdict.DIFFERENT and not known_names(expected.entity).issuperset(attributes):
        return Cause.FOREIGN_WRITER
    if verdict is Verdict.MISSING and actual is None and expected.entity.name in uncopied:
        return Cause.NOT_COPIED
    if expected.unmarked and verdict is not Verdict.UNVERIFIABLE:
        return Cause.NO_MARK
    if verdict is Verdict.EXTRA and expected.row is not None:
        return Cause.OTHER_KEY if expected.elsewhere else Cause.STALE
    if verdict is Verdict.MISSING and actual is not None:
        # A tombstone: the row was gone once, and is back.
        return Cause.STALE
    return None


def known_names(entity: Entity) -> frozenset[str]:
    """The attributes that the toolkit may write to items of an entity, members of the envelope as `Data.status`."""
    table: Table = entity.table
    keys = [table.partition_key, table.sort_key]
    for index in table.indexes:
        keys += [index.partition_key, index.sort_key]
    members = {f"{table.envelope}.{member.name}" for member in entity.data}
    names = {member.name for member in entity.attributes} | {key.name for key in keys if key is not None}
    own = {name for name in (table.ttl, table.envelope, table.discriminator) if name is not None}
    return frozenset(names | members | own | PROTOCOL)


def stands_elsewhere(entity: Entity, number: int, items: Sequence[WireItem]) -> bool:
    """Whether the row's item of this number is among its items, which have other keys."""
    return any(claim.number == number for item in items for claim in claims([entity], item))
