"""Judging one suspect: the item and the row are read again, and what still differs is named."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.items import batch_get
from migrator.engines.verify.canonical import key_line, same
from migrator.engines.verify.findings import Difference, Verdict
from migrator.engines.verify.values import told
from migrator.mapping import FOREVER, ItemWitness, RowWitness, Unencodable, claims, expiry, forward, plain, row_key
from migrator.mapping.item_witness import past

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.mapping import Claim, Entity, Row, Table, WireItem
    from migrator.postgres.connection import Pool
    from migrator.reconcile import Lookup

BATCH: Final = 100
_ON_THEIR_WAY: Final = 1_000
_MOMENT_SECONDS: Final = 1.0
SEVERAL_ROWS: Final = "several rows become items of this key"
DISAGREEMENT: Final = (
    "item and row are equal attribute by attribute, but what they say of each other is not: an error in the mapping's "
    "code, which its maintainers should hear of"
)
_PROTOCOL: Final = frozenset({"_v", "_del"})


@dataclass(frozen=True)
class _Expected:
    """What the source says of a key: the item it should be (None: none), or why that cannot be said.

    `free`: the row is past its TTL, so that whatever the key holds is right.
    """

    entity: Entity | None = None
    row_key: tuple[str, ...] | None = None
    row: Row | None = None
    item: WireItem | None = None
    free: bool = False
    reason: str | None = None


class Judge:
    """Judges suspects of one table.

    Args:
        table: the table.
        lookups: the rows of each entity of the table, by its name.
        client: the target.
        pool: sessions on the source.
        now: the time in Unix seconds, by PostgreSQL's clock.
    """

    def __init__(self, table: Table, lookups: Mapping[str, Lookup], client: Client, pool: Pool, now: int) -> None:
        self.table = table
        self._lookups = lookups
        self._entities = [lookup.entity for lookup in lookups.values()]
        self._client = client
        self._pool = pool
        self._now = now
        self._row_witnesses = {entity.name: RowWitness(entity) for entity in self._entities}
        self._item_witness = ItemWitness(table, self._entities)
        self._names = [key.name for key in table.key_attributes]
        self._index_keys = {
            key.name for index in table.indexes for key in (index.partition_key, index.sort_key) if key is not None
        }

    def key(self, line: bytes) -> WireItem:
        """The key that a line stands for."""
        return dict(zip(self._names, orjson.loads(line), strict=True))

    async def judge(self, lines: Sequence[bytes]) -> dict[bytes, Difference]:
        """What is wrong with these keys, at most `BATCH` of them, by key; one that is in order by now is left out."""
        keys = [self.key(line) for line in lines]
        items = await batch_get(self._client, self.table.name, keys)
        actual = {key_line(item, self._names): item for item in items}
        expected = await self._expected(keys)
        found = {
            line: self._compare(key, expected[number], actual.get(line))
            for number, (line, key) in enumerate(zip(lines, keys, strict=True))
        }
        return {line: difference for line, difference in found.items() if difference is not None}

    async def look_again(self, found: dict[bytes, Difference]) -> dict[bytes, Difference]:
        """What of this differs still after a moment, as long as it grows less: changes may have been on their way.

        Where more differs than that would explain, it is taken as it is.
        """
        while found and len(found) <= _ON_THEIR_WAY:
            await asyncio.sleep(_MOMENT_SECONDS)
            lines, still = list(found), dict[bytes, Difference]()
            for start in range(0, len(lines), BATCH):
                still |= await self.judge(lines[start : start + BATCH])
            if len(still) == len(found):
                return still
            found = still
        return found

    async def _expected(self, keys: Sequence[WireItem]) -> list[_Expected]:
        """What the rows that could own these keys say of them."""
        expected = [_Expected() for _ in keys]
        wanted: dict[str, list[tuple[int, Claim]]] = {}
        for number, key in enumerate(keys):
            for claim in claims(self._entities, key):
                wanted.setdefault(claim.entity.name, []).append((number, claim))
        for name, asked in wanted.items():
            rows = await self._lookups[name].read(self._pool, [claim.values for _, claim in asked])
            for (number, claim), found in zip(asked, rows, strict=True):
                expected[number] = self._of_rows(claim, found, keys[number])
        return expected

    def _of_rows(self, claim: Claim, rows: Sequence[Row], key: WireItem) -> _Expected:
        if len(rows) > 1:
            return _Expected(claim.entity, claim.row_key, reason=SEVERAL_ROWS)
        if not rows:
            return _Expected(claim.entity, claim.row_key)
        (row,) = rows
        known = row_key(claim.entity, row)
        expired = _expired(claim.entity, row, self._now)
        try:
            items = forward(claim.entity, row)
        except Unencodable as error:
            return _Expected(claim.entity, known, free=expired, reason=error.why)
        line = key_line(key, self._names)
        item = next((item for item in items if key_line(item, self._names) == line), None)
        return _Expected(claim.entity, known, row, item, free=expired and item is not None)

    def _compare(self, key: WireItem, expected: _Expected, actual: WireItem | None) -> Difference | None:
        if actual is not None and "_del" in actual:
            actual = None
        if expected.free:
            return None
        if expected.reason is not None:
            return self._difference(Verdict.UNVERIFIABLE, key, expected, reason=expected.reason)
        if expected.item is None:
            there = actual is not None and not self._past(actual)
            return self._difference(Verdict.EXTRA, key, expected) if there else None
        if actual is None:
            return self._difference(Verdict.MISSING, key, expected)
        return self._compare_items(key, expected, expected.item, actual)

    def _compare_items(
        self, key: WireItem, expected: _Expected, should: WireItem, actual: WireItem
    ) -> Difference | None:
        differing = self._differing(should, actual)
        if differing:
            difference = self._difference(Verdict.DIFFERENT, key, expected, differing)
            return replace(difference, values=told(self.table, expected.entity, differing, should, actual))
        if self._agree(expected, actual):
            return None
        return self._difference(Verdict.UNVERIFIABLE, key, expected, reason=DISAGREEMENT)

    def _agree(self, expected: _Expected, actual: WireItem) -> bool:
        """Whether the witnesses, too, find the item to be the row's: a suspect they agree on by now has only moved."""
        entity, row = expected.entity, expected.row
        if entity is None or row is None:
            return False
        values = [row[projected.name] for projected in entity.projection]
        said_by_row = self._row_witnesses[entity.name].testify([values], FOREVER).testimonies
        return all(said in said_by_row for said in self._item_witness.testify([actual], FOREVER))

    def _past(self, item: WireItem) -> bool:
        until = item.get(self.table.ttl, {}).get("N") if self.table.ttl is not None else None
        return until is not None and past(until, self._now)

    def _differing(self, expected: WireItem, actual: WireItem) -> list[str]:
        """The attributes that differ; inside the envelope, its members by name."""
        found: list[str] = []
        for name in sorted((expected.keys() | actual.keys()) - _PROTOCOL):
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
        expected: _Expected,
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
            reason,
        )


def _expired(entity: Entity, row: Row, now: int) -> bool:
    """Whether a row is past its TTL; where that cannot be told, `forward` says why."""
    try:
        until = expiry(entity.plan, row)
    except Unencodable:
        return False
    return until is not None and until <= now


def _differing_members(name: str, left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """The members of two envelopes that differ; the envelope itself, where one of them is no Map."""
    mine, theirs = left.get("M"), right.get("M")
    if mine is None or theirs is None:
        return [name]
    members = sorted(mine.keys() | theirs.keys())
    return [f"{name}.{member}" for member in members if not same(mine.get(member), theirs.get(member))]
