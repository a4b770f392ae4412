"""What a context has written: until it is known to be in DynamoDB, the context reads it from PostgreSQL.

A context is what `contextvars` takes for one: a task, a request, a thread. `remembering` makes it a wider one.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from migrator.app.row_name import RowName

_Key = TypeVar("_Key")
_MOST: Final = 1_000
"""Rows of one table that are known by name; where there are more, all of the table count as written."""
_LONGEST_QUIET: Final = 60.0
"""Seconds after which what is in DynamoDB is forgotten: longer than any index is allowed to be behind."""
_CURRENT: Final[ContextVar[OwnWrites | None]] = ContextVar("migrator_own_writes", default=None)


class Write:
    """A row that was committed, when, and when the mirror has carried it over (None: not that it were known)."""

    __slots__ = ("at", "mirrored_at")

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.mirrored_at: float | None = None

    def in_target(self, settled: float, quiet: float) -> bool:
        """Whether DynamoDB has held it for `quiet` seconds; all that was committed before `settled` is there."""
        if self.at < settled - quiet:
            return True
        return self.mirrored_at is not None and self.mirrored_at <= time.monotonic() - quiet


class OwnWrites:
    """What one context has written, by table and key. It may be used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._named: dict[str, dict[tuple[str, ...], Write]] = {}
        self._unnamed: dict[str | None, Write] = {}

    def note(self, rows: Iterable[RowName], *, others: bool) -> dict[RowName, Write]:
        """Notes rows that were committed just now; `others`: there were more, whose names are not known."""
        noted = {row: Write() for row in rows}
        with self._lock:
            if others:
                self._unnamed[None] = Write()
            for row, write in noted.items():
                named = self._named.setdefault(row.source, {})
                named[row.key] = write
                if len(named) > _MOST:
                    named.clear()
                    self._unnamed[row.source] = write
        return noted

    def waits(self, source: str, key: tuple[str, ...] | None, settled: float, quiet: float) -> bool:
        """Whether a row, or any of the table, may not be in DynamoDB as this context has written it.

        Args:
            source: the table.
            key: the row's key; None: any row of the table.
            settled: all that was committed before this moment of the monotonic clock is in DynamoDB.
            quiet: seconds for which it has to be there: an index follows its table after a moment.
        """
        if not self._named and not self._unnamed:
            return False
        with self._lock:
            if any(_drop_settled(self._unnamed, each, settled, quiet) for each in (None, source)):
                return True
            named = self._named.get(source)
            if named is None:
                return False
            keys = list(named) if key is None else [key]
            waits = any(_drop_settled(named, each, settled, quiet) for each in keys)
            if not named:
                del self._named[source]
            return waits


def _drop_settled(writes: dict[_Key, Write], key: _Key, settled: float, quiet: float) -> bool:
    """Whether there is such a write that waits; one that does not is forgotten."""
    write = writes.get(key)
    if write is None:
        return False
    if not write.in_target(settled, quiet):
        return True
    if write.in_target(settled, max(quiet, _LONGEST_QUIET)):
        del writes[key]
    return False


@contextmanager
def remembering(own: OwnWrites | None = None) -> Iterator[OwnWrites]:
    """Within the block, in all tasks and threads that have its context, writes are noted and reads know of them.

    Without it, each context remembers for itself: what a task has committed, the one that has started it does not know.
    Given the same `own` again, as from a user's session, a later block knows of the earlier one's writes.
    """
    remembered = own or OwnWrites()
    token = _CURRENT.set(remembered)
    try:
        yield remembered
    finally:
        _CURRENT.reset(token)


def current() -> OwnWrites | None:
    """What this context has written; None: nothing."""
    return _CURRENT.get()


def here() -> OwnWrites:
    """What this context has written; from now on, what tasks write that it starts is among it."""
    own = _CURRENT.get()
    if own is None:
        own = OwnWrites()
        _CURRENT.set(own)
    return own


def noted(rows: Iterable[RowName], *, others: bool) -> dict[RowName, Write]:
    """Notes what this context has committed just now."""
    return here().note(rows, others=others)
