"""Which items a throttling concerns: those in an index that is at its limit, or of a key whose partition is.

DynamoDB names its reasons. An index, or a partition of the table or of an index, that is throttled gets a lane: a pace
of its own, which only the items that touch it must keep. All other items flow at the pace of the table.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from migrator.dynamodb.pacing import Pace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Self

    from migrator.dynamodb.errors import Throttle
    from migrator.mapping import Table, WireItem

_LANES: Final = 1_000
_FORGOTTEN_SECONDS: Final = 300.0
# DynamoDB's own limit of one partition, in write units per second.
_PARTITION_UNITS: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Layout:
    """What of a table's keys decides where an item goes: its partition key, and each index's key attributes."""

    partition_key: str
    indexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table) -> Self:
        """The layout of a declared table."""
        indexes = {index.name: tuple(key.name for key in index.key_attributes) for index in table.indexes}
        return cls(table.partition_key.name, indexes)


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of a table: the table (None) or an index, and the partition key there; None stands for the whole."""

    index: str | None
    key: bytes | None


class Group(NamedTuple):
    """Items that keep the same paces beside the table's."""

    lanes: tuple[Pace, ...]
    items: Sequence[bytes]


class Lanes:
    """The parts of one table that are at their limit. Holds the pace of each until it has not been throttled for long.

    Args:
        layout: the table's keys; where it is not known, every throttling is taken as the whole table's.
        pace: the table's pace.
    """

    def __init__(self, layout: Layout | None, pace: Pace) -> None:
        self._layout = layout
        self._pace = pace
        self._lanes: dict[_Place, Pace] = {}

    def groups(self, items: Sequence[bytes]) -> list[Group]:
        """The items, those together that keep the same paces."""
        if not self._lanes:
            return [Group((), items)]
        self._forget()
        grouped: dict[tuple[_Place, ...], list[bytes]] = defaultdict(list)
        for item in items:
            grouped[tuple(place for place in self._places(item) if place in self._lanes)].append(item)
        return [Group(tuple(self._lanes[place] for place in places), some) for places, some in grouped.items()]

    def throttled(self, throttles: frozenset[Throttle], items: Sequence[bytes], sent: float) -> bool:
        """All of these items were refused for these reasons; returns whether none of them was the table as a whole."""
        if self._layout is None or not throttles:
            return False
        concerned = {
            place
            for item in items
            for place in self._places(item)
            for throttle in throttles
            if place.index == throttle.index and (place.key is not None) == throttle.key_range
        }
        for place in concerned:
            self._lane(place).throttled(sent)
        return bool(concerned) and all(throttle.index is not None or throttle.key_range for throttle in throttles)

    def left(self, left: Sequence[bytes], items: Sequence[bytes], sent: float) -> bool:
        """Some of these items were left; returns whether one key of several is at fault, since it alone was left.

        DynamoDB gives no reasons for what it leaves; a limit of the whole table leaves items of any key.
        """
        if self._layout is None or len(left) < 2:  # noqa: PLR2004 - one item is left of one key in any case
            return False
        keys = {self._partition(item) for item in left}
        if len(keys) > 1 or all(self._partition(item) in keys for item in items):
            return False
        self._lane(keys.pop()).throttled(sent)
        return True

    def _lane(self, place: _Place) -> Pace:
        lane = self._lanes.get(place)
        if lane is None:
            if len(self._lanes) >= _LANES:
                self._lanes.pop(min(self._lanes, key=lambda known: self._lanes[known].throttled_at))
            start = self._pace.rate if place.key is None else min(self._pace.rate, _PARTITION_UNITS)
            lane = self._lanes[place] = Pace(start=start)
        return lane

    def _forget(self) -> None:
        forgotten = asyncio.get_running_loop().time() - _FORGOTTEN_SECONDS
        for place in [place for place, lane in self._lanes.items() if lane.throttled_at < forgotten]:
            del self._lanes[place]

    def _partition(self, item: bytes) -> _Place:
        return next(self._places(item))

    def _places(self, item: bytes) -> Iterator[_Place]:
        """The parts of the table that an item touches, its own partition first."""
        if self._layout is None:
            return
        attributes: WireItem = orjson.loads(item)
        yield _Place(None, orjson.dumps(attributes.get(self._layout.partition_key)))
        for index, keys in self._layout.indexes.items():
            if all(key in attributes for key in keys):
                yield _Place(index, None)
                yield _Place(index, orjson.dumps(attributes[keys[0]]))
