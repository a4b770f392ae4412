"""The repository of an application on an event loop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from migrator.app.question import Question
from migrator.app.repository.errors import NotFoundError, source_explained, target_explained
from migrator.app.repository.items import PAGE, Items
from migrator.app.repository.rows import Rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

    from migrator.app.repository.items import RecordPage
    from migrator.app.repository.record import Record
    from migrator.app.router import Router
    from migrator.mapping import WireItem


class AsyncRepository:
    """As `Repository`, with sessions of SQLAlchemy's asyncio.

    Args:
        router: where reads go; its model has the entity.
        entity: the entity's name.
        sessions: what makes sessions for reads of PostgreSQL.

    Raises:
        UsageError: the model has no such entity.
        ConfigurationError: its rows cannot be held by a model, or none of its items holds them whole.
    """

    def __init__(self, router: Router, entity: str, sessions: async_sessionmaker[Any]) -> None:
        self._router = router
        self._sessions = sessions
        self._items = Items(router.model, entity)
        self._rows = Rows(self._items.shape)
        self.record: Callable[..., Record] = self._items.shape.model
        router.target.want()

    async def get(self, *, session: AsyncSession | None = None, **key: object) -> Record:
        """As `Repository.get`."""
        question = Question(self._items.get(list(key)), key)
        async with aclosing(self._answered(question, session, 1)) as answered:
            async for found in answered:
                return found
        raise NotFoundError(f"there is no such row of {self._items.entity.name}")

    async def query(
        self, pattern: str, *, session: AsyncSession | None = None, limit: int | None = None, **parameters: object
    ) -> AsyncIterator[Record]:
        """As `Repository.query`."""
        question = Question(self._items.pattern(pattern), parameters)
        left = limit
        async with aclosing(self._answered(question, session, limit)) as answered:
            while left is None or left > 0:
                record = await anext(answered, None)
                if record is None:
                    return
                yield record
                left = None if left is None else left - 1

    async def put(self, session: AsyncSession, record: Record, *, overwrite: bool = False) -> Record:
        """As `Repository.put`."""
        return await session.run_sync(lambda sync: self._rows.put(sync, record, overwrite=overwrite))

    async def delete(self, session: AsyncSession, record: Record) -> None:
        """As `Repository.delete`."""
        await session.run_sync(lambda sync: self._rows.delete(sync, record))

    async def _answered(
        self, question: Question, session: AsyncSession | None, limit: int | None
    ) -> AsyncGenerator[Record, None]:
        """The records of an answer; no more than `limit` of them will be taken."""
        size = PAGE if limit is None else min(max(limit, 1), PAGE)
        given: set[tuple[Any, ...]] = set()
        start_key: WireItem | None = None
        key_of = self._items.shape.key_of
        while session is None:
            page = await self._page(question, size, start_key)
            if page is None:
                break
            for record in page.records:
                if key_of(record) not in given:
                    given.add(key_of(record))
                    yield record
            start_key = page.last_key
            if start_key is None:
                return
        # From the beginning: what DynamoDB has given is passed over.
        async with aclosing(self._by_sql(question, session, None if limit is None else limit + len(given))) as rest:
            async for record in rest:
                if key_of(record) not in given:
                    yield record

    async def _page(self, question: Question, size: int, start_key: WireItem | None) -> RecordPage | None:
        """A page of DynamoDB's; None: PostgreSQL is to be asked."""

        async def postgres() -> None:
            return None

        async def dynamodb() -> RecordPage | None:
            asked = self._router.target.ask(
                lambda client: self._items.page(client, question, limit=size, start_key=start_key)
            )
            # Not the future itself: where the target's thread has ended, it is cancelled, and the reader is not.
            answered = asyncio.wrap_future(asked)
            try:
                await asyncio.wait([answered])
                return asked.result(0)
            finally:
                answered.cancel()

        with target_explained(f"read {self._items.entity.name}"):
            return await self._router.aanswer(question, postgres=postgres, dynamodb=dynamodb)

    async def _by_sql(
        self, question: Question, session: AsyncSession | None, limit: int | None
    ) -> AsyncGenerator[Record, None]:
        with source_explained(f"read {self._items.entity.name}"):
            if session is None:
                async with self._sessions() as own, aclosing(self._by_sql(question, own, limit)) as records:
                    async for record in records:
                        yield record
                return
            found = await session.stream(self._rows.statement(question, limit))
            try:
                async for row in found:
                    yield self._rows.record(row)
            finally:
                await found.close()
