"""Judging one suspect: the item and the row are read again, and what still differs is named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from migrator.dynamodb.items import batch_get
from migrator.engines.verify.canonical import key_line, same
from migrator.engines.verify.findings import Difference, Verdict
from migrator.engines.verify.passes import past
from migrator.mapping import Unencodable, claims, expiry, forward, plain
from migrator.postgres.errors import errors_explained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.mapping import Claim, Entity, Row, Table, WireItem
    from migrator.postgres.connection import Pool
    from migrator.postgres.rows import Key, RowSource

BATCH: Final = 100
_PROTOCOL: Final = frozenset({"_v", "_del"})


@dataclass(frozen=True)
class _Expected:
    """What the source says of a key: the item it should be (None: none), or why that cannot be said."""

    claim: Claim | None = None
    item: WireItem | None = None
    expired: bool = False
    reason: str | None = None


class Judge:
    """Judges suspects of one table.

    Args:
        table: the table.
        sources: each entity of the table with its rows.
        client: the target.
        pool: sessions on the source.
        now: the time in Unix seconds, by PostgreSQL's clock.
    """

    def __init__(
        self, table: Table, sources: Mapping[str, tuple[Entity, RowSource]], client: Client, pool: Pool, now: int
    ) -> None:
        self.table = table
        self._sources = sources
        self._entities = [entity for entity, _ in sources.values()]
        self._client = client
        self._pool = pool
        self._now = now
        self._names = [key.name for key in table.key_attributes]
        self._index_keys = {
            key.name for index in table.indexes for key in (index.partition_key, index.sort_key) if key is not None
        }

    async def judge(self, lines: Sequence[bytes]) -> list[Difference]:
        """What is wrong with these keys, at most `BATCH` of them; a key that is in order by now gives nothing."""
        keys = [dict(zip(self._names, orjson.loads(line), strict=True)) for line in lines]
        items = await batch_get(self._client, self.table.name, keys)
        actual = {key_line(item, self._names): item for item in items}
        expected = await self._expected(keys)
        found = (
            self._compare(key, expected[number], actual.get(line))
            for number, (line, key) in enumerate(zip(lines, keys, strict=True))
        )
        return [difference for difference in found if difference is not None]

    async def _expected(self, keys: Sequence[WireItem]) -> list[_Expected]:
        """What the rows that could own these keys say of them."""
        expected = [_Expected() for _ in keys]
        wanted: dict[str, list[tuple[int, Claim, Key]]] = {}
        for number, key in enumerate(keys):
            for claim in claims(self._entities, key):
                if claim.row_key is not None:
                    wanted.setdefault(claim.entity.name, []).append((number, claim, claim.row_key))
        for name, asked in wanted.items():
            entity, source = self._sources[name]
            with errors_explained(f"read {source.table}"):
                async with self._pool.acquire() as connection:
                    records = await source.by_keys(connection, [key for _, _, key in asked])
            names = [projected.name for projected in entity.projection]
            for (number, claim, _), record in zip(asked, records, strict=True):
                if record is not None:
                    row = dict(zip(names, record, strict=False))
                    expected[number] = self._of_row(claim, row, keys[number])
                else:
                    expected[number] = _Expected(claim)
        return expected

    def _of_row(self, claim: Claim, row: Row, key: WireItem) -> _Expected:
        try:
            items = forward(claim.entity, row)
            until = expiry(claim.entity.plan, row)
        except Unencodable as error:
            return _Expected(claim, reason=error.why)
        line = key_line(key, self._names)
        item = next((item for item in items if key_line(item, self._names) == line), None)
        return _Expected(claim, item, expired=until is not None and until <= self._now)

    def _compare(self, key: WireItem, expected: _Expected, actual: WireItem | None) -> Difference | None:
        if actual is not None and "_del" in actual:
            actual = None
        if expected.expired and expected.item is not None:
            return None
        if expected.reason is not None:
            return self._difference(Verdict.UNVERIFIABLE, key, expected, reason=expected.reason)
        if expected.item is None:
            if actual is None or self._past(actual):
                return None
            return self._difference(Verdict.EXTRA, key, expected)
        if actual is None:
            return self._difference(Verdict.MISSING, key, expected)
        differing = self._differing(expected.item, actual)
        return self._difference(Verdict.DIFFERENT, key, expected, differing) if differing else None

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
        claim = expected.claim
        return Difference(
            verdict,
            self.table.name,
            {name: plain(value) for name, value in key.items()},
            None if claim is None else claim.entity.name,
            None if claim is None else claim.row_key,
            tuple(attributes),
            tuple(name for name in attributes if name in self._index_keys),
            self.table.ttl in attributes,
            reason,
        )


def _differing_members(name: str, left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """The members of two envelopes that differ; the envelope itself, where one of them is no Map."""
    mine, theirs = left.get("M"), right.get("M")
    if mine is None or theirs is None:
        return [name]
    members = sorted(mine.keys() | theirs.keys())
    return [f"{name}.{member}" for member in members if not same(mine.get(member), theirs.get(member))]
