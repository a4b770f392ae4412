"""An entity's rows in PostgreSQL: how they are asked for, and written through the application's own sessions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import registry

from migrator.app.errors import NotFoundError
from migrator.app.repository.errors import source_explained
from migrator.app.repository.items import PAGE
from migrator.errors import UsageError
from migrator.mapping import kind as kinds
from migrator.mapping import living

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from migrator.app.question import Question
    from migrator.app.repository.record import Record, Shape


class Rows:
    """The rows of one entity. Holds the class that SQLAlchemy maps them to, so that a DualWriter sees what is written.

    Args:
        shape: how rows look to the application.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._entity = shape.entity
        self._attributes = {name: f"c{number}" for number, name in enumerate(shape.columns)}
        self._mapped: type[Any] = type(shape.model.__name__, (), {})
        source = self._entity.source
        registry().map_imperatively(
            self._mapped,
            source,
            include_properties=list(shape.columns),
            properties={attribute: source.columns[name] for name, attribute in self._attributes.items()},
        )

    def statement(self, question: Question, limit: int | None) -> sa.Select[Any]:
        """The question to PostgreSQL, for the columns of a record, without rows past their TTL.

        Many rows are read by the page.
        """
        columns = [self._entity.source.columns[name] for name in self._shape.columns]
        statement = question.pattern.statement_for(question.row).where(*living(self._entity, int(time.time())))
        by_page = {} if limit is not None and limit <= PAGE else {"yield_per": PAGE}
        return statement.with_only_columns(*columns).limit(limit).execution_options(**by_page)

    def record(self, row: sa.Row[Any]) -> Record:
        """A record of what the statement has found."""
        return self._shape.of_source(dict(zip(self._shape.columns, row, strict=True)))

    def put(self, session: Session, record: Record, *, overwrite: bool = False) -> Record:
        """Writes a row within the session's transaction; returns the record as it is then.

        Raises:
            ConflictError: the row is not as the record was read, or is there although the record was not read.
            UnavailableError: PostgreSQL does not answer.
            UsageError: the record is none of this entity's, or its key is another than it was read with.
        """
        values, read = self._shape.values(record), record._read  # noqa: SLF001 - of this package's own class
        key = self._shape.key(values)
        if read is not None and self._shape.key(read) != key and not overwrite:
            raise UsageError(
                f"a row of {self._entity.name} keeps its key", next_step="put a new record, and delete the one before"
            )
        with source_explained(f"put a row of {self._entity.name}"):
            row = self._locked(session, key)
            if not overwrite:
                self._check(row, read)
            if row is None:
                row = self._mapped()
                session.add(row)
            for name, attribute in self._attributes.items():
                setattr(row, attribute, self._bound(name, values[name]))
            session.flush()
            # PostgreSQL may have rounded a number, or a trigger have changed a value.
            session.refresh(row)
        return self._shape.of_source(self._held(row))

    def delete(self, session: Session, record: Record) -> None:
        """Deletes a row within the session's transaction.

        Raises:
            NotFoundError: there is no such row.
            ConflictError: it is not as the record was read, or others refer to it.
            UnavailableError: PostgreSQL does not answer.
            UsageError: the record is none of this entity's.
        """
        values, read = self._shape.values(record), record._read  # noqa: SLF001 - of this package's own class
        with source_explained(f"delete a row of {self._entity.name}"):
            row = self._locked(session, self._shape.key(values))
            if row is None:
                raise NotFoundError(f"there is no such row of {self._entity.name}")
            if read is not None:
                self._check(row, read)
            session.delete(row)
            session.flush()

    def _locked(self, session: Session, key: tuple[Any, ...]) -> Any:  # noqa: ANN401 - of the class that is made here
        """The row of a key, as it is now, which nobody else changes until the transaction ends."""
        names = [column.name for column in sa.inspect(self._mapped).primary_key]
        by_name = dict(zip(self._entity.key_columns, key, strict=True))
        identity = tuple(by_name[name] for name in names)
        return session.get(self._mapped, identity, with_for_update=True, populate_existing=True)

    def _check(self, row: Any, read: dict[str, Any] | None) -> None:  # noqa: ANN401 - of the class that is made here
        self._shape.check(None if row is None else self._shape.normal(self._held(row)), read)

    def _held(self, row: Any) -> dict[str, Any]:  # noqa: ANN401 - of the class that is made here
        return {name: getattr(row, attribute) for name, attribute in self._attributes.items()}

    def _bound(self, name: str, value: Any) -> Any:  # noqa: ANN401 - of the column's type
        """A value as SQLAlchemy takes it: None is SQL NULL, which a JSON column would take for JSON null."""
        if value is None and isinstance(self._entity.plan.kinds[name], kinds.Json):
            return sa.null()
        return _lists(value) if isinstance(value, tuple) else value


def _lists(value: Any) -> Any:  # noqa: ANN401 - an array, or an element
    return [_lists(each) for each in value] if isinstance(value, tuple) else value
