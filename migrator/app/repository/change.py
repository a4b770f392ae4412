"""A change of one row, for either store: in PostgreSQL a row is written, in DynamoDB all items that it has and had."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from migrator.app.errors import ConflictError, NotFoundError
from migrator.dynamodb import answers
from migrator.errors import UsageError
from migrator.mapping import forward, owned_keys, told_keys
from migrator.reconcile.item_key import ItemKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy.orm import Session

    from migrator.app.repository.items import Items
    from migrator.app.repository.record import Record
    from migrator.app.repository.rows import Rows
    from migrator.mapping import Row, WireItem

Found: TypeAlias = "Mapping[ItemKey, WireItem]"
"""What keys hold: items, tombstones and expired items among them."""
Wanted: TypeAlias = "dict[ItemKey, WireItem | None]"
"""What keys are to hold: an item, or None, a tombstone."""


@dataclass(frozen=True)
class Change:
    """A row to be put, or deleted.

    Attributes:
        rows: how it is written in PostgreSQL.
        items: how it is written in DynamoDB.
        record: the record to put, or of the row to delete.
        put: whether it is put.
        overwrite: it is put whatever there is.
        values: the record's values.
        after: the row that they are.
    """

    rows: Rows
    items: Items
    record: Record
    put: bool
    overwrite: bool = False
    values: dict[str, Any] = field(init=False)
    after: Row = field(init=False)

    def __post_init__(self) -> None:
        shape, read = self.items.shape, self.read
        values = shape.values(self.record)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "after", shape.row(values))
        if self.put and read is not None and not self.overwrite and shape.key(read) != shape.key(values):
            raise UsageError(
                f"a row of {self.name} keeps its key", next_step="put a new record, and delete the one before"
            )

    @property
    def name(self) -> str:
        """The entity's name."""
        return self.items.entity.name

    @property
    def row_name(self) -> tuple[Any, ...]:
        """What tells the row from all others."""
        return (self.name, *(self.after[column] for column in self.items.entity.key_columns))

    @property
    def read(self) -> dict[str, Any] | None:
        """The values that the record was read with; None: it was not read."""
        return self.record._read  # noqa: SLF001 - of this package's own class

    def written(self) -> tuple[Record, dict[str, Any]]:
        """The record that is to be put, read as the given one was, and what it counts as read as once it is put."""
        record = self.items.shape.of_row(self.after)
        after: dict[str, Any] = record._read or {}  # noqa: SLF001 - of this package's own class
        record._read = self.read  # noqa: SLF001 - as above
        return record, after

    def by_sql(self, session: Session) -> None:
        """Makes the change within the session's transaction.

        Raises:
            NotFoundError, ConflictError, UnavailableError, FencedError: as `Rows`.
        """
        if self.put:
            self.rows.put(session, self.record, overwrite=self.overwrite)
        else:
            self.rows.delete(session, self.record)

    def keys(self, found: Found) -> set[ItemKey]:
        """The keys of the row's items: by what it is to be, by what it was read as, and by the items that were found.

        Those of an item that was found may tell of further ones.
        """
        shape = self.items.shape
        rows: list[Row] = [self.after, *(part for _, part in self._parts(found))]
        if self.read is not None:
            rows.append(shape.row(self.read))
        columns = dict.fromkeys(self.items.entity.plan.kinds)
        return {self._key(key) for row in rows for key in told_keys(self.items.entity, columns | row)}

    def wanted(self, found: Found) -> Wanted:
        """What the row's keys are to hold; a key that is not here stays as it is.

        Args:
            found: what its keys hold, of `keys`.

        Raises:
            NotFoundError, ConflictError: as `Rows.put` and `Rows.delete`.
            Unencodable: an item cannot hold a value.
        """
        entity = self.items.entity
        current = [part for number, part in self._parts(found) if number == self.items.whole]
        owned = {self._key(key) for row in current for key in owned_keys(entity, row)}
        buried: Wanted = {key: None for key in owned if key in found and "_del" not in found[key]}
        self._check(current)
        if not self.put:
            return buried
        row = self.items.shape.row(self.values, current[0] if current else None)
        items: Wanted = {self._key(item): item for item in forward(entity, row)}
        if any(key not in owned for key in items if self._is_alive(found.get(key))):
            raise ConflictError(
                f"put a row of {self.name}: another row has the same unique values", next_step="read the rows again"
            )
        return buried | items

    def _check(self, current: list[Row]) -> None:
        """Compares what is there with what was read."""
        shape, read = self.items.shape, self.read
        if not self.put and not current:
            raise NotFoundError(f"there is no such row of {self.name}")
        if self.overwrite or (read is None and not self.put):
            return
        shape.check(shape.read(current[0]) if current else None, read)

    def _parts(self, found: Found) -> Iterator[tuple[int, Row]]:
        """What the items that were found give back of this row, with their numbers."""
        entity = self.items.entity
        held = [item for key, item in found.items() if key.table == entity.table.name]
        for number in range(len(entity.plan.items)):
            for item in self.items.own(held, number):
                part = self.items.part(number, item)
                if all(part.get(name) == self.after[name] for name in entity.key_columns):
                    yield number, part

    def _is_alive(self, item: WireItem | None) -> bool:
        entity = self.items.entity
        return item is not None and bool(answers.alive(entity, [item], int(time.time())))

    def _key(self, item: WireItem) -> ItemKey:
        return ItemKey.of(self.items.entity.table, item)
