"""Judging suspects under live writes: item, row with marks, item again; a verdict only where nothing has moved."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.items import batch_read
from migrator.engines.verify.findings import Difference, Verdict
from migrator.engines.verify.judging.canonical import same
from migrator.engines.verify.judging.causes import PROTOCOL, cause_of
from migrator.engines.verify.judging.expected import Snapshots
from migrator.engines.verify.judging.values import told
from migrator.mapping import FOREVER, ItemWitness, RowWitness, plain
from migrator.mapping.item_witness import is_expired
from migrator.mapping.testimony import key_line, key_of_line

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.engines.verify.judging.expected import Expected
    from migrator.mapping import Table, WireItem
    from migrator.postgres.connection import Pool
    from migrator.reconcile import Lookup

BATCH: Final = 100
_PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 3.2, 3.2, 3.2)
"""Seconds between looks at keys that move: what a relay needs, as a rule, and some time for one that lags."""
DISAGREEMENT: Final = (
    "item and row are equal attribute by attribute, but what they say of each other is not: an error in the mapping's "
    "code, which its maintainers should hear of"
)


@dataclass
class Looked:
    """What one look at some keys has found, by key; one that is in order is in neither.

    Attributes:
        found: what is wrong.
        moving: what differs while a change of it is on its way: its mark waits, the item changed meanwhile, or it may
            have to be carried back still.
        waiting: those of `moving` whose mark waits.
        written: those of `moving` that applications write in the target: the item, and what the row asks for.
    """

    found: dict[bytes, Difference] = field(default_factory=dict)
    moving: dict[bytes, Difference] = field(default_factory=dict)
    waiting: set[bytes] = field(default_factory=set)
    written: dict[bytes, tuple[WireItem | None, WireItem | None]] = field(default_factory=dict)

    def add(self, other: Looked) -> None:
        """Takes up a look at other keys."""
        self.found |= other.found
        self.moving |= other.moving
        self.waiting |= other.waiting
        self.written |= other.written


class Judge:
    """Judges suspects of one table. `units` are the read units that it has consumed.

    Args:
        table: the table.
        lookups: the rows of each entity of the table, by its name.
        client: the target.
        pool: sessions on the source, which has to be the primary.
        now: the time in Unix seconds, by PostgreSQL's clock.
        uncopied: names of entities whose rows no copy has begun with.
        carried_back: names of entities that applications write in the target, and whose rows follow.
        pace: the table's read units per second; None for no limit.
    """

    def __init__(  # noqa: PLR0913 - what a verdict rests on
        self,
        table: Table,
        lookups: Mapping[str, Lookup],
        client: Client,
        pool: Pool,
        now: int,
        *,
        uncopied: Collection[str] = (),
        carried_back: Collection[str] = (),
        pace: Pace | None = None,
    ) -> None:
        self.table = table
        self.units = 0.0
        self._snapshots = Snapshots(table, lookups, pool, now)
        self._client = client
        self._now = now
        self._uncopied = uncopied
        self._carried_back = carried_back
        self._pace = pace
        entities = [lookup.entity for lookup in lookups.values()]
        self._row_witnesses = {entity.name: RowWitness(entity) for entity in entities}
        self._item_witness = ItemWitness(table, entities)
        self._index_keys = {
            key.name for index in table.indexes for key in (index.partition_key, index.sort_key) if key is not None
        }

    def key(self, line: bytes) -> WireItem:
        """The key that a line stands for."""
        return key_of_line(line, self.table.key_attributes)

    def named(self, line: bytes) -> dict[str, Any]:
        """The same as differences name it."""
        return {name: plain(value) for name, value in self.key(line).items()}

    async def judge(self, lines: Sequence[bytes]) -> dict[bytes, Difference]:
        """What differs of these keys, at most `BATCH` of them, by key, be it on its way to be in order or not."""
        looked = await self.look(lines)
        return looked.found | looked.moving

    async def look(self, lines: Sequence[bytes]) -> Looked:
        """One look at these keys, at most `BATCH` of them.

        Raises:
            SourceError, TargetError: a store cannot be reached or used.
        """
        # At a small pace few at a time: what is held against each other is to be of moments that are close.
        size = BATCH if self._pace is None else max(1, min(BATCH, int(self._pace.rate)))
        looked = Looked()
        for start in range(0, len(lines), size):
            looked.add(await self._look(lines[start : start + size]))
        return looked

    async def _look(self, lines: Sequence[bytes]) -> Looked:
        looked = Looked()
        keys = [self.key(line) for line in lines]
        before = await self._read(keys)
        expected = await self._snapshots.take(keys)
        # What the first read already found in order needs no second one, whatever has moved since.
        unequal = [
            number
            for number, line in enumerate(lines)
            if self._compare(keys[number], expected[number], before.get(line)) is not None
        ]
        after = await self._read([keys[number] for number in unequal])
        for number in unequal:
            line, said = lines[number], expected[number]
            difference = self._compare(keys[number], said, after.get(line))
            if difference is None:
                continue
            if said.waiting or before.get(line) != after.get(line):
                looked.moving[line] = difference
                looked.waiting |= {line} if said.waiting else set()
            elif difference.entity in self._carried_back:
                looked.moving[line] = difference
                looked.written[line] = (after.get(line), said.item)
            else:
                looked.found[line] = difference
        return looked

    async def settle(self, moving: Looked, *, followed: bool) -> Looked:
        """Looks again, after growing pauses, at the keys that moved: at what their changes have come to.

        What moves still at the end is left in `moving`. Where changes are not carried over, a mark is not waited for.
        What an application may have written is found to differ where it stays as it is for all of that time.
        """
        settled = Looked(dict(moving.found), waiting=moving.waiting)
        left, steady = dict(moving.moving), dict(moving.written)
        for pause in _PAUSES:
            if not followed:
                settled.moving |= {line: each for line, each in left.items() if line in settled.waiting}
                left = {line: each for line, each in left.items() if line not in settled.waiting}
            if not left:
                break
            await asyncio.sleep(pause)
            lines, again = list(left), Looked()
            for start in range(0, len(lines), BATCH):
                again.add(await self.look(lines[start : start + BATCH]))
            settled.found |= again.found
            settled.waiting |= again.waiting
            left = again.moving
            steady = {line: state for line, state in steady.items() if again.written.get(line) == state}
        settled.found |= {line: left.pop(line) for line in steady.keys() & left.keys()}
        settled.moving |= left
        return settled

    async def _read(self, keys: Sequence[WireItem]) -> dict[bytes, WireItem]:
        page = await batch_read(self._client, self.table.name, keys, pace=self._pace)
        self.units += page.consumed
        return {key_line(item, self.table.key_attributes): item for item in page.items}

    def _compare(self, key: WireItem, expected: Expected, held: WireItem | None) -> Difference | None:
        actual = None if held is not None and "_del" in held else held
        if expected.free:
            return None
        if expected.reason is not None:
            return self._difference(Verdict.UNVERIFIABLE, key, expected, held, reason=expected.reason)
        if expected.item is None:
            there = actual is not None and not is_expired(self.table, actual, self._now)
            return self._difference(Verdict.EXTRA, key, expected, held) if there else None
        if actual is None:
            return self._difference(Verdict.MISSING, key, expected, held)
        return self._compare_items(key, expected, expected.item, actual)

    def _compare_items(
        self, key: WireItem, expected: Expected, should: WireItem, actual: WireItem
    ) -> Difference | None:
        differing = self._differing(should, actual)
        if differing:
            difference = self._difference(Verdict.DIFFERENT, key, expected, actual, differing)
            return replace(difference, values=told(self.table, expected.entity, differing, should, actual))
        if self._agree(expected, actual):
            return None
        return self._difference(Verdict.UNVERIFIABLE, key, expected, actual, reason=DISAGREEMENT)

    def _agree(self, expected: Expected, actual: WireItem) -> bool:
        """Whether the witnesses, too, find the item to be the row's: a suspect they agree on by now has only moved."""
        entity, row = expected.entity, expected.row
        if entity is None or row is None:
            return False
        values = [row[projected.name] for projected in entity.projection]
        said_by_row = self._row_witnesses[entity.name].testify([values], FOREVER).testimonies
        return all(said in said_by_row for said in self._item_witness.testify([actual], FOREVER))

    def _differing(self, expected: WireItem, actual: WireItem) -> list[str]:
        """The attributes that differ; inside the envelope, its members by name."""
        found: list[str] = []
        for name in sorted((expected.keys() | actual.keys()) - PROTOCOL):
            left, right = expected.get(name), actual.get(name)
            if same(left, right):
                continue
            if name == self.table.envelope:
                found += _differing_members(name, left or {}, right or {})
            else:
                found.append(name)
        return found

    def _difference(
        self,
        verdict: Verdict,
        key: WireItem,
        expected: Expected,
        held: WireItem | None,
        attributes: Sequence[str] = (),
        reason: str | None = None,
    ) -> Difference:
        return Difference(
            verdict,
            self.table.name,
            {name: plain(value) for name, value in key.items()},
            None if expected.entity is None else expected.entity.name,
            expected.row_key,
            tuple(attributes),
            tuple(name for name in attributes if name in self._index_keys),
            self.table.ttl in attributes,
            reason if reason is not None else expected.set_aside,
            cause_of(verdict, expected, held, attributes, self._uncopied),
        )


def _differing_members(name: str, left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """The members of two envelopes that differ; the envelope itself, where one of them is no Map."""
    mine, theirs = left.get("M"), right.get("M")
    if mine is None or theirs is None:
        return [name]
    members = sorted(mine.keys() | theirs.keys())
    return [f"{name}.{member}" for member in members if not same(mine.get(member), theirs.get(member))]
