"""The repository of an application on an event loop."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from migrator.app.errors import NotFoundError
from migrator.app.repository.base import Base, size_of_page
from migrator.app.repository.errors import source_explained, target_explained
from migrator.app.repository.items import RecordPage
from migrator.app.repository.writing import AsyncWriting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from migrator.app.question import Question
    from migrator.app.repository.record import Record
    from migrator.mapping import WireItem


class AsyncRepository(Base[AsyncSession]):
    """As `Repository`, with sessions of SQLAlchemy's asyncio."""

    async def get(self, *, session: AsyncSession | None = None, **key: object) -> Record:
        """As `Repository.get`."""
        async with aclosing(self._answered(self._one(key), session, 1)) as answered:
            async for found in answered:
                return found
        raise NotFoundError(f"there is no such row of {self._name}")

    async def query(
        self, pattern: str, *, session: AsyncSession | None = None, limit: int | None = None, **parameters: object
    ) -> AsyncIterator[Record]:
        """As `Repository.query`."""
        question, left = self._many(pattern, parameters), limit
        async with aclosing(self._answered(question, session, limit)) as answered:
            while left is None or left > 0:
                record = await anext(answered, None)
                if record is None:
                    return
                yield record
                left = None if left is None else left - 1

    def writing(self) -> AsyncWriting:
        """As `Repository.writing`, with `async with`."""
        return AsyncWriting(self._router, self._sessions)

    async def put(self, session: AsyncSession | AsyncWriting, record: Record, *, overwrite: bool = False) -> Record:
        """As `Repository.put`."""
        if isinstance(session, AsyncWriting):
            return session.add(self._router, self._put(record, overwrite=overwrite))
        with self._in_postgresql():
            return await session.run_sync(lambda sync: self._rows.put(sync, record, overwrite=overwrite))

    async def delete(self, session: AsyncSession | AsyncWriting, record: Record) -> None:
        """As `Repository.delete`."""
        if isinstance(session, AsyncWriting):
            session.add(self._router, self._deleted(record))
            return
        with self._in_postgresql():
            await session.run_sync(lambda sync: self._rows.delete(sync, record))

    async def _answered(
        self, question: Question, session: AsyncSession | None, limit: int | None
    ) -> AsyncGenerator[Record, None]:
        """As `Repository._answered`."""
        given: set[tuple[Any, ...]] = set()
        start_key: WireItem | None = None
        async with AsyncExitStack() as stack:
            while True:
                answer = await self._asked(question, session, limit, start_key, given, stack)
                if not isinstance(answer, RecordPage):
                    async for record in answer:
                        for each in self._new([record], given):
                            yield each
                    return
                for record in self._new(answer.records, given):
                    yield record
                start_key = answer.last_key
                if start_key is None:
                    return

    async def _asked(
        self,
        question: Question,
        session: AsyncSession | None,
        limit: int | None,
        start_key: WireItem | None,
        given: set[tuple[Any, ...]],
        stack: AsyncExitStack,
    ) -> RecordPage | AsyncIterator[Record]:
        """As `Repository._asked`."""

        async def postgres() -> RecordPage | AsyncIterator[Record]:
            most = None if limit is None else limit + len(given)
            return await stack.enter_async_context(self._by_sql(question, session, most))

        async def dynamodb() -> RecordPage | AsyncIterator[Record]:
            return await self._router.target.aask(
                lambda client: self._items.page(client, question, limit=size_of_page(limit), start_key=start_key)
            )

        if session is not None:
            return await self._router.awithin(question, postgres)
        with target_explained(f"read {self._name}"):
            return await self._router.aanswer(question, postgres=postgres, dynamodb=dynamodb)

    @asynccontextmanager
    async def _by_sql(
        self, question: Question, session: AsyncSession | None, limit: int | None
    ) -> AsyncGenerator[AsyncIterator[Record], None]:
        """As `Repository._by_sql`."""
        with source_explained(f"read {self._name}"):
            async with AsyncExitStack() as stack:
                if session is None:
                    session = await stack.enter_async_context(self._opened())
                statement = self._rows.statement(question, limit)
                if "yield_per" in statement.get_execution_options():
                    found = await session.stream(statement)
                    stack.push_async_callback(found.close)
                    yield (self._rows.record(row) async for row in found)
                else:
                    # Without a cursor, for which PostgreSQL would be asked several times.
                    rows = await session.execute(statement)
                    yield _each(map(self._rows.record, rows))


async def _each(records: Iterable[Record]) -> AsyncIterator[Record]:
    for record in records:
        yield record
