"""What sessions commit: the rows that each transaction has touched, handed over once it stands.

SQLAlchemy's events on the session serve sync and async alike: an AsyncSession is a session behind a proxy.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import Session, sessionmaker

from migrator.app.row_name import Namer
from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Concatenate, ParamSpec

    from sqlalchemy.orm import ORMExecuteState, SessionTransaction, UOWTransaction
    from sqlalchemy.pool import Pool

    from migrator.app.counts import Reason
    from migrator.app.row_name import RowName
    from migrator.mapping import Model

    P = ParamSpec("P")

Target: TypeAlias = "sessionmaker[Any] | async_sessionmaker[Any] | sa.Engine | AsyncEngine"
_Self = TypeVar("_Self")
_LOG: Final = logging.getLogger("migrator.app")


class Receiver(Protocol):
    """Who is handed what was committed."""

    @property
    def on(self) -> bool:
        """Whether rows are wanted at all."""

    def begun(self) -> None:
        """A transaction begins, in the context that it belongs to."""

    def committed(self, rows: Sequence[RowName], left: Mapping[Reason, int]) -> None:
        """A transaction was committed that has touched these rows, and others that are left to the relay."""


def unnoticed(method: Callable[Concatenate[_Self, P], None]) -> Callable[Concatenate[_Self, P], None]:
    """A method that lets no failure of its own reach the application, whose work is done or goes on without it."""

    def guarded(self: _Self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever fails here, the application's commit must not
            # Its class and place, not its message: that may hold a value.
            trace, frames = error.__traceback__, []
            while trace is not None:
                frames.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
                trace = trace.tb_next
            _LOG.error("rows are left to the relay: %s at %s", type(error).__name__, " > ".join(frames))

    return functools.update_wrapper(guarded, method)


class _Frames:
    """The open transactions of one session, savepoints among them: what each has touched, and which are committed."""

    def __init__(self) -> None:
        self.rows: dict[SessionTransaction, dict[RowName, None]] = {}
        self.left: dict[SessionTransaction, Counter[Reason]] = {}
        self.committed: set[SessionTransaction] = set()

    def of(self, transaction: SessionTransaction) -> tuple[dict[RowName, None], Counter[Reason]]:
        return self.rows.setdefault(transaction, {}), self.left.setdefault(transaction, Counter())

    def end(self, transaction: SessionTransaction) -> tuple[dict[RowName, None], Counter[Reason]]:
        """What stands of a transaction that has ended: nothing, where it was rolled back."""
        rows, left = self.rows.pop(transaction, {}), self.left.pop(transaction, Counter())
        if transaction not in self.committed:
            return {}, Counter()
        self.committed.discard(transaction)
        return rows, left


class Collector:
    """Listens to sessions and tells a receiver what they have committed. Attached to one target at a time.

    Args:
        model: whose rows are told of.
        receiver: who is told.
        most: rows that are named of one transaction.
    """

    _attached: ClassVar[WeakKeyDictionary[object, set[str]]] = WeakKeyDictionary()
    """By target, the models that are mirrored from it."""

    def __init__(self, model: Model, receiver: Receiver, *, most: int) -> None:
        self._model = model
        self._namer = Namer(model)
        self._receiver = receiver
        self._most = most
        self._target: sessionmaker[Any] | async_sessionmaker[Any] | sa.Engine | None = None
        self._sessions: type[Session] = Session
        self._pool: Pool | None = None

    def attach(self, target: Target) -> None:
        """Listens to what a sessionmaker, or an engine, makes and serves from now on.

        Raises:
            UsageError: it is none of these, or the model is mirrored from it already, or this collector is attached.
        """
        if not isinstance(target, sessionmaker | async_sessionmaker | sa.Engine | AsyncEngine):
            raise UsageError(
                f"a dual writer cannot be attached to {type(target).__name__}",
                safe="nothing was attached",
                next_step="attach it to a sessionmaker, an async_sessionmaker, an Engine or an AsyncEngine",
            )
        made = target.sync_engine if isinstance(target, AsyncEngine) else target
        models = self._attached.setdefault(made, set())
        if self._target is not None or self._model.name in models:
            raise UsageError(
                f"a dual writer for model {self._model.name} is attached already",
                safe="the one that is attached goes on",
                next_step="attach one writer, once, where the application makes its sessionmaker; or detach() it first",
            )
        self._sessions, self._pool = self._watched(made)
        for name, listener in self._listeners.items():
            event.listen(self._sessions, name, listener)
        self._target = made
        models.add(self._model.name)

    def detach(self) -> None:
        """Listens no more. Without effect where nothing is attached."""
        if self._target is None:
            return
        for name, listener in self._listeners.items():
            event.remove(self._sessions, name, listener)
        self._attached[self._target].discard(self._model.name)
        self._target = None

    @property
    def _listeners(self) -> dict[str, Callable[..., None]]:
        return {
            "after_transaction_create": self._after_create,
            "after_flush": self._after_flush,
            "do_orm_execute": self._on_statement,
            "after_commit": self._after_commit,
            "after_transaction_end": self._after_end,
        }

    @staticmethod
    def _watched(target: sessionmaker[Any] | async_sessionmaker[Any] | sa.Engine) -> tuple[type[Session], Pool | None]:
        """The class of the sessions to listen to; for an engine its pool, by which they are told from others."""
        match target:
            case sessionmaker():
                return target.class_, None
            case async_sessionmaker():
                base = target.kw.get("sync_session_class") or target.class_.sync_session_class
                own: type[Session] = type(base.__name__, (base,), {})
                target.configure(sync_session_class=own)
                return own, None
            case _:
                return Session, target.pool

    @unnoticed
    def _after_create(self, _session: Session, _transaction: SessionTransaction) -> None:
        """A transaction begins. SQLAlchemy's asyncio commits `async with sessions.begin()` in a task of its own."""
        self._receiver.begun()

    @unnoticed
    def _after_flush(self, session: Session, flush: UOWTransaction) -> None:
        """Names the rows before the flush is over: their objects still know the key that they had."""
        if not self._receiver.on:
            return
        rows, left = self._frame(session)
        for state, (deleted, listed_only) in flush.states.items():
            if listed_only or (self._pool is not None and not self._served(session, state.mapper)):
                continue
            if (
                state.key is not None
                and not deleted
                and not session.is_modified(state.obj(), include_collections=False)
            ):
                continue
            if len(rows) >= self._most:
                left["too_many"] += 1
                continue
            bind = session.get_bind(state.mapper)
            rows.update(dict.fromkeys(self._namer.names(state, bind.dialect)))

    @unnoticed
    def _on_statement(self, execution: ORMExecuteState) -> None:
        """Counts statements that change rows without naming them."""
        statement = execution.statement
        if not isinstance(statement, sa.Insert | sa.Update | sa.Delete) or not self._receiver.on:
            return
        if self._namer.entity(statement.table) is None:
            return
        if self._pool is not None and not self._served(execution.session, execution.bind_mapper):
            return
        _, left = self._frame(execution.session)
        left["unnamed"] += 1

    def _served(self, session: Session, mapper: Any) -> bool:  # noqa: ANN401 - a mapper, or None
        return session.get_bind(mapper).engine.pool is self._pool

    def _frame(self, session: Session) -> tuple[dict[RowName, None], Counter[Reason]]:
        """What the session's innermost transaction has touched, a flush's own not counted."""
        frames: _Frames = session.info.setdefault(self, _Frames())
        transaction = session.get_nested_transaction() or session.get_transaction()
        return ({}, Counter()) if transaction is None else frames.of(transaction)

    @unnoticed
    def _after_commit(self, session: Session) -> None:
        """A savepoint or a transaction is committed; its connection is still in use."""
        frames: _Frames | None = session.info.get(self)
        transaction = session.get_nested_transaction() or session.get_transaction()
        if frames is not None and transaction is not None:
            frames.committed.add(transaction)

    @unnoticed
    def _after_end(self, session: Session, transaction: SessionTransaction) -> None:
        """A transaction has ended, and its connection is back: now the mirror may take its time."""
        frames: _Frames | None = session.info.get(self)
        if frames is None:
            return
        rows, left = frames.end(transaction)
        outer = transaction.parent
        while outer is not None and outer.parent is not None and not outer.nested:
            outer = outer.parent
        if outer is not None:
            outer_rows, outer_left = frames.of(outer)
            outer_rows.update(rows)
            outer_left.update(left)
            return
        del session.info[self]
        if rows or left:
            self._receiver.committed(list(rows), left)
