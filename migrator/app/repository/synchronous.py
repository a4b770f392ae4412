"""The repository of an application that waits for its stores."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from migrator.app.errors import NotFoundError
from migrator.app.repository.base import Base, size_of_page
from migrator.app.repository.errors import source_explained, target_explained
from migrator.app.repository.items import RecordPage
from migrator.app.repository.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.app.question import Question
    from migrator.app.repository.record import Record
    from migrator.mapping import WireItem


class Repository(Base[Session]):
    """The rows of one entity: read where the router says, written in the store that is the master.

    Reads that are given a session are part of its transaction, and so PostgreSQL's. `record` is the class of the
    entity's records, generated from the columns of its table.

    Args:
        router: where reads and writes go; its model has the entity.
        entity: the entity's name.
        sessions: what makes sessions for PostgreSQL; an application without one has none.

    Raises:
        UsageError: the model has no such entity.
        ConfigurationError: its rows cannot be held by a model, or none of its items holds them whole.
    """

    def get(self, *, session: Session | None = None, **key: object) -> Record:
        """The row of a key: the columns of one of its items' keys that tells of one row.

        Raises:
            NotFoundError: there is none.
            UnavailableError, ThrottledError: the store that has to be asked does not answer, or is not known.
            FencedError: a session is given, and DynamoDB is the master.
            UsageError: no item is read by these columns.
        """
        found = next(self._answered(self._one(key), session, 1), None)
        if found is None:
            raise NotFoundError(f"there is no such row of {self._name}")
        return found

    def query(
        self, pattern: str, *, session: Session | None = None, limit: int | None = None, **parameters: object
    ) -> Iterator[Record]:
        """The rows that answer an access pattern, in its order, read page by page as they are taken.

        Args:
            pattern: the access pattern's id; it is one of this entity's.
            session: read in this session's transaction.
            limit: rows at most; what is filtered out does not count.
            parameters: the access pattern's values.

        Raises:
            UnavailableError, ThrottledError, FencedError: as `get`.
            UsageError: the entity has no such access pattern, or a value is missing, unknown or of another type.
        """
        return islice(self._answered(self._many(pattern, parameters), session, limit), limit)

    def writing(self) -> Writing:
        """A block whose changes, of this and of other repositories, are made when it ends: all of them, or none.

        They are made in the store that is the master: in one transaction of PostgreSQL, through this repository's
        sessions, or in one of DynamoDB. Where the block ends by an exception, nothing is written.

        Raises (at the end of the block):
            NotFoundError, ConflictError: a row is not as it was read. Nothing was written.
            PausedError: the writes are moving from one store to the other. Nothing was written: try again.
            UnavailableError, ThrottledError: the master does not answer, or is not known.
            UsageError: the entities have two masters, or DynamoDB holds no such value, or not so many items at once.
        """
        return Writing(self._router, self._sessions)

    def put(self, session: Session | Writing, record: Record, *, overwrite: bool = False) -> Record:
        """Writes a row in a session's transaction, or in a block of `writing`; returns the record as it is then.

        A record that was read replaces the row that it was read from, where that is unchanged; a new one is inserted,
        where there is none of its key. `overwrite` writes it whatever there is. In a block, all of this is seen to when
        the block ends.

        Raises:
            ConflictError: the row is not as it was read, there is one already, or others forbid it.
            UnavailableError: PostgreSQL does not answer.
            FencedError: a session is given, and DynamoDB is the master, or is about to be.
            UsageError: the record is none of this entity's, or its key is another than it was read with.
        """
        if isinstance(session, Writing):
            return session.add(self._router, self._put(record, overwrite=overwrite))
        with self._in_postgresql():
            return self._rows.put(session, record, overwrite=overwrite)

    def delete(self, session: Session | Writing, record: Record) -> None:
        """Deletes a row, where it is as it was read, within a session's transaction or as part of a block of `writing`.

        Raises:
            NotFoundError: there is no such row.
            ConflictError: it is not as it was read, or others refer to it.
            UnavailableError, FencedError: as `put`.
            UsageError: the record is none of this entity's.
        """
        if isinstance(session, Writing):
            session.add(self._router, self._deleted(record))
            return
        with self._in_postgresql():
            self._rows.delete(session, record)

    def _answered(self, question: Question, session: Session | None, limit: int | None) -> Iterator[Record]:
        """The records of an answer; no more than `limit` of them will be taken."""
        given: set[tuple[Any, ...]] = set()
        start_key: WireItem | None = None
        with ExitStack() as stack:
            while True:
                answer = self._asked(question, session, limit, start_key, given, stack)
                if not isinstance(answer, RecordPage):
                    # From the beginning: what DynamoDB has given is passed over.
                    yield from self._new(answer, given)
                    return
                yield from self._new(answer.records, given)
                start_key = answer.last_key
                if start_key is None:
                    return

    def _asked(
        self,
        question: Question,
        session: Session | None,
        limit: int | None,
        start_key: WireItem | None,
        given: set[tuple[Any, ...]],
        stack: ExitStack,
    ) -> RecordPage | Iterator[Record]:
        """A page of DynamoDB's, or all records of PostgreSQL's, which are read until the stack is closed."""

        def postgres() -> RecordPage | Iterator[Record]:
            return stack.enter_context(self._by_sql(question, session, None if limit is None else limit + len(given)))

        def dynamodb() -> RecordPage | Iterator[Record]:
            return self._router.target.ask(
                lambda client: self._items.page(client, question, limit=size_of_page(limit), start_key=start_key)
            ).result()

        if session is not None:
            return self._router.within(question, postgres)
        with target_explained(f"read {self._name}"):
            return self._router.answer(question, postgres=postgres, dynamodb=dynamodb)

    @contextmanager
    def _by_sql(self, question: Question, session: Session | None, limit: int | None) -> Iterator[Iterator[Record]]:
        """The records that PostgreSQL answers with; those of one snapshot, which is taken now."""
        with source_explained(f"read {self._name}"), ExitStack() as stack:
            if session is None:
                session = stack.enter_context(self._opened())
            yield map(self._rows.record, stack.enter_context(session.execute(self._rows.statement(question, limit))))
