"""Checkpoints of a copy: which ranges of a source's keys are in the target, kept beside the source itself."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from migrator.errors import GateError, LockedError
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.phases import Standing, standings
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from migrator.errors import MigratorError
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.identifiers import TableName
    from migrator.postgres.marks import SetAside
    from migrator.postgres.phases import Phase
    from migrator.postgres.rows import Key

_NOTHING_LOST: Final = "nothing was lost or changed: the source, the target and the checkpoint are as they were"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of rows: read, turned into how many items, left out as past their TTL, set aside."""

    rows: int = 0
    items: int = 0
    expired: int = 0
    set_aside: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.rows + other.rows,
            self.items + other.items,
            self.expired + other.expired,
            self.set_aside + other.set_aside,
        )


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy on record. `followed`: capture was installed when it started, so that later changes are marked."""

    model: str
    source: str
    mapping_fingerprint: str
    schema_fingerprint: str
    followed: bool
    started_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Range:
    """The keys in (`lower`, `upper`], None being no bound; `position` is the last one whose items are in the target."""

    number: int
    lower: Key | None
    upper: Key | None
    position: Key | None = None
    counts: Counts = Counts()
    last_sent_at: datetime | None = None
    settled_at: datetime | None = None

    @property
    def after(self) -> Key | None:
        """The key after which reading goes on."""
        return self.lower if self.position is None else self.position


class CopyLog:
    """The checkpoint of one copy, shared by all of its workers.

    It holds what identifies the work: the model, the source table (by its qualified name, as `LiveTable` has it), the
    entity with the phase in which it is copied, and the fingerprints under which the work is valid. Every method raises
    SourceError when the checkpoint cannot be read or written: no work should go on whose progress is not recorded.
    """

    def __init__(  # noqa: PLR0913 - what identifies a copy
        self,
        pool: Pool,
        model: str,
        table: TableName,
        *,
        entity: str,
        phase: Phase,
        mapping_fingerprint: str,
        schema_fingerprint: str,
    ) -> None:
        self.model = model
        self.entity = entity
        self.phase = phase
        self.source = str(table)
        self._table = table
        self._pool = pool
        self._mapping_fingerprint = mapping_fingerprint
        self._schema_fingerprint = schema_fingerprint
        self._copy: Copy | None = None

    async def load(self) -> Copy | None:
        """Return the copy on record, or None; every other method but `begin` comes after it.

        Raises:
            LockedError: it was made under another mapping or another source schema.
        """
        async with self._session("read") as connection:
            found = await connection.fetchrow(QUERIES["copy"], self.model, self.source)
        if found is None:
            return None
        copy = Copy(**found)
        self._check_fingerprints(copy)
        self._copy = copy
        return copy

    async def begin(self, boundaries: Sequence[Key], *, followed: bool, anew: bool = False) -> Copy:
        """Record a copy that begins, in the ranges that `boundaries` (keys, in order) make.

        Args:
            boundaries: the keys.
            followed: capture stands, so that every change from here on is marked.
            anew: forget the copy on record, whatever it was made under, and the rows that it set aside. When it may
                have sent its last request stays on record.

        Raises:
            LockedError: there is one on record already.
        """
        bounds = [None, *boundaries, None]
        fingerprints = (self._mapping_fingerprint, self._schema_fingerprint)
        sent = None
        async with self._session("write") as connection, connection.transaction():
            if anew:
                sent = await connection.fetchval(QUERIES["drop_copy"], self.model, self.source)
                await connection.execute(QUERIES["drop_copy_marks"], self.source)
            values = [
                (self.model, self.source, number, lower and list(lower), upper and list(upper), sent)
                for number, (lower, upper) in enumerate(pairwise(bounds), start=1)
            ]
            begun = await connection.fetchrow(QUERIES["begin_copy"], self.model, self.source, *fingerprints, followed)
            if begun is None:
                raise self._other_run()
            await connection.executemany(QUERIES["begin_range"], values)
        self._copy = Copy(**begun)
        return self._copy

    async def ranges(self) -> list[Range]:
        """Return the ranges of the copy, in the order of their keys.

        Raises:
            LockedError: the checkpoint cannot be what this toolkit wrote: a range is missing, or a key is cut short.
        """
        async with self._session("read") as connection:
            found = await connection.fetch(QUERIES["ranges"], self.model, self.source)
        ranges = [
            Range(
                number=row["number"],
                lower=_key(row["lower"]),
                upper=_key(row["upper"]),
                position=_key(row["position"]),
                counts=Counts(row["rows"], row["items"], row["expired"], row["set_aside"]),
                last_sent_at=row["last_sent_at"],
                settled_at=row["settled_at"],
            )
            for row in found
        ]
        if not _consistent(ranges):
            raise self._refused("cannot be read: its ranges do not cover the table")
        return ranges

    async def sending(self, number: int) -> None:
        """Record that rows of this range are about to be read and sent, before the first of them is.

        `settle` renews it. With the deadline of a request this bounds how long one may still be under way after a copy
        was killed.

        Raises:
            LockedError: the copy on record is another one by now.
            GateError: the entity is in another phase by now.
        """
        copy = self._current()
        arguments = (self.model, self.source, number, copy.started_at, self.entity, self.phase)
        async with self._session("write") as connection:
            known = await connection.fetchval(QUERIES["sending"], *arguments)
        if known is None:
            raise await self._moved()

    async def settle(
        self, at: Range, position: Key | None, counts: Counts, *, set_aside: Sequence[SetAside] = (), done: bool
    ) -> Range:
        """Record that all rows of the range up to `position` are in the target or set aside; return the range as it is.

        One statement: position, counts and the marks of rows set aside become durable together or not at all.

        Args:
            at: the range as it was when it was read, or as the last call returned it.
            position: the last key of the page; None where the page was empty.
            counts: of this page.
            set_aside: the rows of this page that could not be encoded or stored.
            done: this was the last page of the range.

        Raises:
            LockedError: the range on record is elsewhere, or the copy on record another one: another run has moved it.
            GateError: the entity is in another phase by now.
        """
        copy = self._current()
        reached = position or at.position
        arguments = (
            *(self.model, self.source, at.number, copy.started_at),
            *(at.position and list(at.position), reached and list(reached)),
            *(counts.rows, counts.items, counts.expired, counts.set_aside, done),
            [json.dumps(dict(row.row_key), ensure_ascii=False) for row in set_aside],
            [row.reason for row in set_aside],
            *(self.entity, self.phase),
        )
        async with self._session("write") as connection:
            moved = await connection.fetchrow(QUERIES["settle"], *arguments)
        if moved is None:
            raise await self._moved()
        return replace(at, position=reached, counts=at.counts + counts, **moved)

    async def finish(self) -> None:
        """Record that the copy is done.

        Raises:
            LockedError: a range on record is not settled, or the copy on record is another one.
        """
        copy = self._current()
        async with self._session("write") as connection:
            finished = await connection.fetchval(QUERIES["finish_copy"], self.model, self.source, copy.started_at)
        if finished is None:
            raise await self._moved()

    @asynccontextmanager
    async def _session(self, doing: str) -> AsyncIterator[Connection]:
        doing = f"{doing} the checkpoint of {self.source}"
        with errors_explained(doing):
            async with self._pool.acquire() as connection:
                with errors_explained(doing, connection=connection, privileges=OWN_TABLES):
                    yield connection

    def _current(self) -> Copy:
        if self._copy is None:
            raise self._refused("is not there")
        return self._copy

    def _check_fingerprints(self, copy: Copy) -> None:
        changed = [
            name
            for name, recorded, current in (
                ("mapping", copy.mapping_fingerprint, self._mapping_fingerprint),
                ("source schema", copy.schema_fingerprint, self._schema_fingerprint),
            )
            if recorded != current
        ]
        if changed:
            raise self._refused(f"was made under another {' and another '.join(changed)}")

    def _refused(self, why: str) -> LockedError:
        return LockedError(
            f"the checkpoint of the copy of {self.source} {why}",
            safe=_NOTHING_LOST,
            next_step=f"migrate copy --restart {self._table.name}",
        )

    async def _moved(self) -> MigratorError:
        async with self._session("read") as connection:
            found = await standings(connection, self.model)
        phase = found.get(self.entity, Standing()).phase
        if phase != self.phase:
            return GateError(
                f"{self.entity} has moved from {self.phase} to {phase} while {self.source} was copied",
                safe="what is settled stays; this run has stopped",
                next_step="migrate copy: it goes on as the phase wants it, if it still may",
            )
        return self._other_run()

    def _other_run(self) -> LockedError:
        return LockedError(
            f"the checkpoint of the copy of {self.source} was changed by another run",
            safe="what is settled stays; this run has stopped",
            next_step="see that only one copy runs, then run the command again",
        )


def _key(value: list[str] | None) -> Key | None:
    return None if value is None else tuple(value)


def _consistent(ranges: Sequence[Range]) -> bool:
    """Whether the ranges follow each other from no bound to no bound, with keys of one length."""
    if not ranges or ranges[0].lower is not None or ranges[-1].upper is not None:
        return False
    keys = [key for each in ranges for key in (each.lower, each.upper, each.position) if key is not None]
    if any(None in key for key in keys) or len({len(key) for key in keys}) > 1:
        return False
    return all(
        one.upper is not None and one.upper == other.lower and other.number == one.number + 1
        for one, other in pairwise(ranges)
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """A copy on record with the totals of its ranges."""

    copy: Copy
    counts: Counts


async def progress(connection: Connection, model: str) -> list[Progress]:
    """Return the copies on record for a model, by source, under whatever mapping they were made."""
    with errors_explained("read the checkpoints", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(QUERIES["copies"], model)
    return [
        Progress(
            copy=Copy(**{name: row[name] for name in Copy.__slots__}),
            counts=Counts(row["rows"], row["items"], row["expired"], row["set_aside"]),
        )
        for row in found
    ]
