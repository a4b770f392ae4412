"""What the repositories of threads and of event loops have in common: an entity, its questions, and its changes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from migrator.app.errors import FencedError
from migrator.app.question import Question
from migrator.app.repository.change import Change
from migrator.app.repository.errors import no_sessions
from migrator.app.repository.items import PAGE, Items
from migrator.app.repository.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from migrator.app.repository.record import Record
    from migrator.app.router import Router

_Session = TypeVar("_Session", Session, AsyncSession)


class Base(Generic[_Session]):
    """The rows of one entity; all else is as in `Repository`."""

    def __init__(self, router: Router, entity: str, sessions: Callable[[], _Session] | None = None) -> None:
        self._router = router
        self._sessions: Callable[[], _Session] | None = sessions
        self._items = Items(router.model, entity)
        self._rows = Rows(self._items.shape)
        self._name = self._items.entity.name
        self.record: Callable[..., Record] = self._items.shape.model
        router.target.want()

    def _opened(self) -> _Session:
        """A session for a read of its own."""
        if self._sessions is None:
            raise no_sessions(f"read {self._name}")
        return self._sessions()

    def _one(self, key: Mapping[str, object]) -> Question:
        return Question(self._items.get(list(key)), key)

    def _many(self, pattern: str, parameters: Mapping[str, object]) -> Question:
        return Question(self._items.pattern(pattern), parameters)

    def _put(self, record: Record, *, overwrite: bool) -> Change:
        return Change(self._rows, self._items, record, put=True, overwrite=overwrite)

    def _deleted(self, record: Record) -> Change:
        return Change(self._rows, self._items, record, put=False)

    @contextmanager
    def _in_postgresql(self) -> Iterator[None]:
        """A write within the application's own transaction; where it is refused, the phase is another than known."""
        self._router.masters.refuse_moved(self._name)
        try:
            yield
        except FencedError:
            self._router.masters.look_soon()
            raise

    def _new(self, records: Iterable[Record], given: set[tuple[Any, ...]]) -> Iterator[Record]:
        """The records of rows that were not given yet; they are then."""
        for record in records:
            key = self._items.shape.key_of(record)
            if key not in given:
                given.add(key)
                yield record


def size_of_page(limit: int | None) -> int:
    """How many items a page is asked for, where no more than `limit` records will be taken."""
    return PAGE if limit is None else min(max(limit, 1), PAGE)
