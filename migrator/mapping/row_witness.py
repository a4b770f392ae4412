"""What rows say, compiled: one generated function per entity from fetched rows to the testimonies of their items.

It shares nothing with the encoder: no value is brought into DynamoDB's form, only keys are rendered. A row that
straight-line code cannot judge takes the readable path, which also says why a row has no items.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from migrator.mapping.errors import Undecodable, Unencodable
from migrator.mapping.forward import expiry, forward
from migrator.mapping.inverse import Inverse, differing_columns
from migrator.mapping.row_code import RowCode
from migrator.mapping.testimony import row_testimonies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from migrator.mapping.entity import Entity
    from migrator.mapping.forward import Row
    from migrator.mapping.testimony import KeyLine, Testimony

Values: TypeAlias = "Sequence[Any]"


@dataclass
class Heard:
    """What a batch of rows says.

    `testimonies` stand beside the keys of their items. `failures` are rows that have no exact items, or that their
    items do not give back, each with the reason; `expired` counts rows past their TTL, which say nothing.
    """

    testimonies: list[tuple[KeyLine, Testimony]] = field(default_factory=list)
    failures: list[tuple[Values, str]] = field(default_factory=list)
    expired: int = 0
    doubted: int = 0


class RowWitness:
    """An entity's witness on the source's side. `source_code` is the generated function.

    `trailing` is how many values follow the projection's in each row (the source edge appends the key as text).
    """

    def __init__(self, entity: Entity, *, trailing: int = 0) -> None:
        self.entity = entity
        self._names = [projected.name for projected in entity.projection]
        self._inverse = Inverse(entity)
        generated = RowCode(entity, trailing).generated
        self.source_code = generated.source
        self._testify: Callable[..., tuple[int, list[Values]]] = generated.function("testify")

    def testify(self, rows: Iterable[Values], now: int) -> Heard:
        """What rows say whose values stand in the order of the entity's projection, at `now` in Unix seconds."""
        heard = Heard()
        heard.expired, doubtful = self._testify(rows, now, heard.testimonies.append)
        heard.doubted = len(doubtful)
        for values in doubtful:
            self._read(values, now, heard)
        return heard

    def _read(self, values: Values, now: int, heard: Heard) -> None:
        """The readable path for one row."""
        row = self._row(values)
        try:
            if self._expired(row, now):
                heard.expired += 1
                return
            reason = self._lost(row)
            heard.testimonies += row_testimonies(self.entity, row)
        except Unencodable as error:
            reason = error.why
        if reason is not None:
            heard.failures.append((values, reason))

    def loss(self, values: Values, now: int) -> str | None:
        """Why a row that is not past its TTL does not come back from its items, if it does not.

        For what testimonies cannot show: that keys and computed attributes hold what the mapping takes from them.

        Raises:
            Unencodable: the row has no items.
        """
        row = self._row(values)
        return None if self._expired(row, now) else self._lost(row)

    def _row(self, values: Values) -> Row:
        return dict(zip(self._names, values, strict=False))

    def _expired(self, row: Row, now: int) -> bool:
        until = expiry(self.entity.plan, row)
        return until is not None and until <= now

    def _lost(self, row: Row) -> str | None:
        items = forward(self.entity, row)
        if self._inverse.lost:
            return None
        try:
            differing = differing_columns(self.entity, row, self._inverse.row(items))
        except Undecodable as error:
            return f"the inverse fails at {error.where}: {error.reason}"
        return f"the inverse gives another value of {', '.join(differing)}" if differing else None
