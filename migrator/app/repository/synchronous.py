"""The repository of an application that waits for its stores."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from migrator.app.question import Question
from migrator.app.repository.errors import NotFoundError, source_explained, target_explained
from migrator.app.repository.items import PAGE, Items
from migrator.app.repository.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy.orm import Session, sessionmaker

    from migrator.app.repository.items import RecordPage
    from migrator.app.repository.record import Record
    from migrator.app.router import Router
    from migrator.mapping import WireItem


class Repository:
    """The rows of one entity: read where the router says, written through the application's sessions.

    Reads that are given a session are part of its transaction, and so PostgreSQL's. `record` is the class of the
    entity's records, generated from the columns of its table.

    Args:
        router: where reads go; its model has the entity.
        entity: the entity's name.
        sessions: what makes sessions for reads of PostgreSQL.

    Raises:
        UsageError: the model has no such entity.
        ConfigurationError: its rows cannot be held by a model, or none of its items holds them whole.
    """

    def __init__(self, router: Router, entity: str, sessions: sessionmaker[Any]) -> None:
        self._router = router
        self._sessions = sessions
        self._items = Items(router.model, entity)
        self._rows = Rows(self._items.shape)
        self.record: Callable[..., Record] = self._items.shape.model
        router.target.want()

    def get(self, *, session: Session | None = None, **key: object) -> Record:
        """The row of a key: the columns of one of its items' keys that tells of one row.

        Raises:
            NotFoundError: there is none.
            UnavailableError, ThrottledError: the store that has to be asked does not answer.
            UsageError: no item is read by these columns.
        """
        question = Question(self._items.get(list(key)), key)
        found = next(self._answered(question, session, 1), None)
        if found is None:
            raise NotFoundError(f"there is no such row of {self._items.entity.name}")
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
            UnavailableError, ThrottledError: the store that has to be asked does not answer.
            UsageError: the entity has no such access pattern, or a value is missing, unknown or of another type.
        """
        question = Question(self._items.pattern(pattern), parameters)
        return islice(self._answered(question, session, limit), limit)

    def put(self, session: Session, record: Record, *, overwrite: bool = False) -> Record:
        """Writes a row within the session's transaction; returns the record as it is then.

        A record that was read replaces the row that it was read from, where that is unchanged; a new one is inserted,
        where there is none of its key. `overwrite` writes it whatever there is.

        Raises:
            ConflictError: the row is not as it was read, there is one already, or others forbid it.
            UnavailableError: PostgreSQL does not answer.
            UsageError: the record is none of this entity's, or its key is another than it was read with.
        """
        return self._rows.put(session, record, overwrite=overwrite)

    def delete(self, session: Session, record: Record) -> None:
        """Deletes a row within the session's transaction, where it is as it was read.

        Raises:
            NotFoundError: there is no such row.
            ConflictError: it is not as it was read, or others refer to it.
            UnavailableError: PostgreSQL does not answer.
            UsageError: the record is none of this entity's.
        """
        self._rows.delete(session, record)

    def _answered(self, question: Question, session: Session | None, limit: int | None) -> Iterator[Record]:
        """The records of an answer; no more than `limit` of them will be taken."""
        size = PAGE if limit is None else min(max(limit, 1), PAGE)
        given: set[tuple[Any, ...]] = set()
        start_key: WireItem | None = None
        while session is None:
            page = self._page(question, size, start_key)
            if page is None:
                break
            for record in page.records:
                if self._is_new(record, given):
                    yield record
            start_key = page.last_key
            if start_key is None:
                return
        # From the beginning: what DynamoDB has given is passed over.
        for record in self._by_sql(question, session, None if limit is None else limit + len(given)):
            if self._is_new(record, given):
                yield record

    def _page(self, question: Question, size: int, start_key: WireItem | None) -> RecordPage | None:
        """A page of DynamoDB's; None: PostgreSQL is to be asked."""

        def dynamodb() -> RecordPage | None:
            return self._router.target.ask(
                lambda client: self._items.page(client, question, limit=size, start_key=start_key)
            ).result()

        with target_explained(f"read {self._items.entity.name}"):
            return self._router.answer(question, postgres=lambda: None, dynamodb=dynamodb)

    def _by_sql(self, question: Question, session: Session | None, limit: int | None) -> Iterator[Record]:
        with source_explained(f"read {self._items.entity.name}"):
            if session is None:
                with self._sessions() as own:
                    yield from self._by_sql(question, own, limit)
                return
            with session.execute(self._rows.statement(question, limit)) as found:
                for row in found:
                    yield self._rows.record(row)

    def _is_new(self, record: Record, given: set[tuple[Any, ...]]) -> bool:
        """Whether a row was not given yet; it is then."""
        key = self._items.shape.key_of(record)
        if key in given:
            return False
        given.add(key)
        return True
