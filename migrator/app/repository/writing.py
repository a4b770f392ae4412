"""Changes that are made together, in the store that is the master: gathered first, then made in one transaction."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from migrator.app.errors import FencedError
from migrator.app.repository.commit import commit
from migrator.app.repository.errors import no_sessions, source_explained, target_explained
from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from migrator.app.repository.change import Change
    from migrator.app.repository.record import Record
    from migrator.app.router import Router
    from migrator.dynamodb.client import Client

_UNCERTAIN: Final = "it is not known whether it was written: read the rows before they are written again"


class Changes:
    """What a block has gathered, to be made when it ends.

    Args:
        router: what knows the master.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._changes: dict[tuple[Any, ...], Change] = {}
        self._put: list[tuple[Record, dict[str, Any]]] = []
        self._is_over = False

    def add(self, router: Router, change: Change) -> Record:
        """Takes a change; returns the record as it is when the block has ended.

        Raises:
            UsageError: the row has a change already, the block has ended, or the repository is another router's.
        """
        if self._is_over or router is not self._router or change.row_name in self._changes:
            raise UsageError(
                f"the row of {change.name} cannot be written in this block: "
                + ("it has ended" if self._is_over else "it has the row's change already, or is of another router"),
                safe="nothing was written",
                next_step="write each row once, in the block of a repository of the same router",
            )
        self._changes[change.row_name] = change
        record, read = change.written()
        if change.put:
            self._put.append((record, read))
        return record

    @property
    def _entities(self) -> list[str]:
        return list(dict.fromkeys(change.name for change in self._changes.values()))

    @property
    def _what(self) -> str:
        return f"write {', '.join(self._entities)}"

    def _by_sql(self, session: Session) -> None:
        for change in self._changes.values():
            change.by_sql(session)

    def _by_key(self, until: float) -> Callable[[Client], Coroutine[Any, Any, None]]:
        """How the changes are made in DynamoDB, of which the entities are until a moment."""
        until = min(until, time.monotonic() + self._router.limits.write)
        return partial(commit, changes=list(self._changes.values()), until=until)

    def _made(self) -> None:
        """Has the records that were put remember that they were."""
        for record, read in self._put:
            record._read = read  # noqa: SLF001 - of this package's own class


class Writing(Changes):
    """A block of `Repository.writing`.

    Args:
        router: what knows the master.
        sessions: what makes sessions for PostgreSQL, where an application has one.
    """

    def __init__(self, router: Router, sessions: Callable[[], Session] | None) -> None:
        super().__init__(router)
        self._sessions = sessions

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_over = True
        if kind is not None or not self._changes:
            return
        try:
            self._make()
        except FencedError:
            # The writes have moved since the phase was read.
            self._router.masters.look()
            self._make()
        self._made()

    def _make(self) -> None:
        store, until = self._router.masters.of(self._entities)
        if store == "dynamodb":
            with target_explained(self._what, _UNCERTAIN):
                self._router.target.ask(self._by_key(until)).result()
            return
        if self._sessions is None:
            raise no_sessions(self._what)
        with source_explained(self._what), self._sessions() as session, session.begin():
            self._by_sql(session)


class AsyncWriting(Changes):
    """A block of `AsyncRepository.writing`.

    Args:
        router: what knows the master.
        sessions: what makes sessions for PostgreSQL, where an application has one.
    """

    def __init__(self, router: Router, sessions: Callable[[], AsyncSession] | None) -> None:
        super().__init__(router)
        self._sessions = sessions

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._is_over = True
        if kind is not None or not self._changes:
            return
        try:
            await self._make()
        except FencedError:
            await self._router.masters.alook()
            await self._make()
        self._made()

    async def _make(self) -> None:
        store, until = await self._router.masters.aof(self._entities)
        if store == "dynamodb":
            with target_explained(self._what, _UNCERTAIN):
                await self._router.target.aask(self._by_key(until))
            return
        if self._sessions is None:
            raise no_sessions(self._what)
        with source_explained(self._what):
            async with self._sessions() as session, session.begin():
                await session.run_sync(self._by_sql)
