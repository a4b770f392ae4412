"""What changed keys ask of the source: rows to be written, as their items are now, and rows to go."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrator.dynamodb import batch_get
from migrator.dynamodb.versions import DELETED
from migrator.mapping import Undecodable, claims, differing_columns
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from migrator.dynamodb.client import Client
    from migrator.engines.reverse.way import Way
    from migrator.mapping import Claim, Row, Table, WireItem
    from migrator.postgres.connection import Connection

SEVERAL_ITEMS: Final = "another item holds the row still, under another key"
INCOMPLETE: Final = "items that make up the row are missing, or their keys cannot be told"


@dataclass(frozen=True)
class Written:
    """A row that is to be written, as the item of this key says, or that and others."""

    way: Way
    row: Row
    key: ItemKey


@dataclass(frozen=True)
class Gone:
    """A row that is to be deleted, since its item of this key is gone."""

    way: Way
    row: Row
    key: ItemKey


@dataclass
class Asked:
    """What keys ask for. A key of which nothing is here asks for nothing: the source has what it should.

    Attributes:
        written: rows to write, in no order.
        gone: rows to delete.
        refused: keys by which nothing can be done, with their entities, and why.
        changed: the keys that have led to any of it.
    """

    written: list[Written] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    refused: dict[ItemKey, tuple[str, str]] = field(default_factory=dict)
    changed: set[ItemKey] = field(default_factory=set)


@dataclass
class _Candidate:
    """Items that a row is led back from, and the changed keys that have led to them."""

    way: Way
    items: frozenset[ItemKey]
    keys: set[ItemKey] = field(default_factory=set)
    row: Row = field(default_factory=dict)
    present: Row | None = None
    standing: frozenset[ItemKey] | None = None

    @property
    def identity(self) -> Hashable:
        return self.way.identity(self.row)


class Leading:
    """Leads the changed keys of one table back, within the caller's transaction. It holds the items that were read.

    Args:
        connection: a session in its transaction.
        client: the target.
        table: the target table.
        ways: the entities that are carried back, by name.
    """

    def __init__(self, connection: Connection, client: Client, table: Table, ways: Mapping[str, Way]) -> None:
        self._connection = connection
        self._client = client
        self._table = table
        self._ways = ways
        self._items: dict[ItemKey, WireItem | None] = {}
        self._candidates: dict[frozenset[ItemKey], _Candidate] = {}
        self._asked = Asked()
        self._gone: dict[Hashable, Gone] = {}

    async def lead(self, changes: Mapping[ItemKey, bool]) -> Asked:
        """What these keys ask for; with each, whether its change was a removal.

        Raises:
            SourceError, TargetError: a store failed.
        """
        claimed = self._claimed(changes)
        await self._read(claimed)
        known = await self._rows_of(claimed)
        for key, claim in claimed.items():
            item = self._items[key]
            if item is None or DELETED in item:
                # Nothing there, and no removal: what has removed it since has a change of its own, or was TTL.
                if item is not None or changes[key]:
                    self._take_gone(key, claim, known[key])
            else:
                self._take_living(key, claim, item, known[key])
        await self._read(key for each in self._candidates for key in each)
        candidates = self._led()
        await self._find_present(candidates)
        await self._read(key for each in candidates for key in each.standing or ())
        self._choose(candidates)
        return self._asked

    def _claimed(self, keys: Iterable[ItemKey]) -> dict[ItemKey, Claim]:
        entities = [way.entity for way in self._ways.values()]
        claimed = {}
        for key in keys:
            claim = next(claims(entities, key.wire(self._table)), None)
            if claim is not None:
                claimed[key] = claim
        return claimed

    async def _read(self, keys: Iterable[ItemKey]) -> None:
        """Reads the items of these keys, consistently; each once."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._items]
        found = await batch_get(self._client, self._table.name, [key.wire(self._table) for key in wanted])
        self._items |= dict.fromkeys(wanted)
        self._items |= {ItemKey.of(self._table, item): item for item in found}

    async def _rows_of(self, claimed: Mapping[ItemKey, Claim]) -> dict[ItemKey, list[Row]]:
        """The rows that could own these keys, of those whose item does not say all."""
        asked: dict[str, list[ItemKey]] = defaultdict(list)
        for key, claim in claimed.items():
            way = self._ways[claim.entity.name]
            if not self._lives(key) or way.needed != {claim.number}:
                asked[way.entity.name].append(key)
        found: dict[ItemKey, list[Row]] = {key: [] for key in claimed}
        for name, keys in asked.items():
            rows = await self._ways[name].lookup.rows(self._connection, [claimed[key].values for key in keys])
            found |= zip(keys, rows, strict=True)
        return found

    def _lives(self, key: ItemKey) -> bool:
        item = self._items.get(key)
        return item is not None and DELETED not in item

    def _take_gone(self, key: ItemKey, claim: Claim, rows: Sequence[Row]) -> None:
        way = self._ways[claim.entity.name]
        for row in rows:
            draft = way.drafts.of(row)
            if draft.unsaid is not None:
                self._refuse(key, way, draft.unsaid)
            elif key in draft.owned:
                if claim.number in way.needed:
                    self._gone[way.identity(row)] = Gone(way, row, key)
                else:
                    # An item that is there for some rows only: the one that always is says whether the row is.
                    self._consider(key, way, way.keys(row))

    def _take_living(self, key: ItemKey, claim: Claim, item: WireItem, rows: Sequence[Row]) -> None:
        way = self._ways[claim.entity.name]
        if way.needed == {claim.number}:
            self._consider(key, way, frozenset({key}))
            return
        try:
            way.check_kind(item)
            keys = way.keys(way.told(claim.number, item))
        except Undecodable as error:
            self._refuse(key, way, _reason(error))
            return
        if keys is None:
            keys = next(filter(None, (way.keys(row | claim.values) for row in rows)), None)
        if keys is not None:
            self._consider(key, way, keys)
        elif claim.number in way.needed:
            self._refuse(key, way, INCOMPLETE)

    def _consider(self, key: ItemKey, way: Way, items: frozenset[ItemKey] | None) -> None:
        if items is None:
            self._refuse(key, way, INCOMPLETE)
        else:
            self._candidates.setdefault(items, _Candidate(way, items)).keys.add(key)

    def _refuse(self, key: ItemKey, way: Way, reason: str) -> None:
        self._asked.refused[key] = (way.entity.name, reason)
        self._asked.changed.add(key)

    def _led(self) -> list[_Candidate]:
        """The candidates all of whose items live, with their rows."""
        led = []
        for each in self._candidates.values():
            items = {key: item for key in each.items if self._lives(key) and (item := self._items[key]) is not None}
            if len(items) < len(each.items):
                # Of an item that holds the row whole, its own change tells what became of it.
                for key in each.keys if items else ():
                    self._refuse(key, each.way, INCOMPLETE)
                continue
            try:
                each.row = each.way.row(items)
            except Undecodable as error:
                self._refuse(min(each.items), each.way, _reason(error))
                self._asked.changed |= each.keys
            else:
                led.append(each)
        return led

    async def _find_present(self, candidates: Sequence[_Candidate]) -> None:
        """Finds the rows as they are, and under which keys they stand."""
        by_way: dict[str, list[_Candidate]] = defaultdict(list)
        for each in candidates:
            by_way[each.way.entity.name].append(each)
        for name, some in by_way.items():
            way = self._ways[name]
            keys = [{column: each.row[column] for column in way.lookup.live.key} for each in some]
            for each, rows in zip(some, await way.lookup.rows(self._connection, keys), strict=True):
                each.present = next(iter(rows), None)
                each.standing = None if each.present is None else way.keys(each.present)

    def _choose(self, candidates: Sequence[_Candidate]) -> None:
        """Of items that hold one row, takes those that it stands under, or the only ones."""
        by_row: dict[Hashable, list[_Candidate]] = defaultdict(list)
        for each in candidates:
            by_row[each.identity].append(each)
        for some in by_row.values():
            for each in some:
                rivals = {key for other in some for key in other.items | (other.standing or frozenset())} - each.items
                if each.items != each.standing and any(map(self._lives, rivals)):
                    self._refuse(min(each.items), each.way, SEVERAL_ITEMS)
                elif each.present is None or differing_columns(each.way.entity, each.present, each.row):
                    self._asked.written.append(Written(each.way, each.row, min(each.items)))
                else:
                    continue
                self._asked.changed |= each.keys
        # A row that has moved to another key is not gone, even if it cannot be written now.
        self._asked.gone += (gone for identity, gone in self._gone.items() if identity not in by_row)
        self._asked.changed |= {gone.key for gone in self._asked.gone}


def _reason(error: Undecodable) -> str:
    return f"its item cannot be read back at {error.where}: {error.reason}"
