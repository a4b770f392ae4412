"""The application of `migrate demo`: it writes through SQLAlchemy, with a dual writer, while its data moves."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from statistics import median
from threading import Event
from typing import TYPE_CHECKING, Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import registry

from migrator.app import DualWriter, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from sqlalchemy.ext.asyncio import AsyncSession

    from migrator.mapping import Model
    from migrator.reconcile import Times

COMMITS_PER_SECOND: Final = 30
_KNOWN_ROWS: Final = 500
_LEASE_SECONDS: Final = 0.5


class _Row:
    """An object of a table."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - of any type
        for name, value in values.items():
            setattr(self, name, value)


@dataclass(frozen=True)
class Written:
    """What was written in some seconds: commits, the rows of them that the mirror has carried over, and their pace.

    `milliseconds` is what the middle one of the commits took.
    """

    commits: int
    mirrored: int
    seconds: float
    milliseconds: float


class DemoWriter:
    """Changes tasks, and writes and deletes log entries, one row per commit, in a thread, until the block ends.

    A write that has failed is raised at the end of the block.

    Args:
        model: the model `miyabi`.
        database_url: the source; the target is found as the environment says.
        times: how long requests live.
    """

    def __init__(self, model: Model, database_url: str, times: Times) -> None:
        self._tasks, self._logs, self._executions = (
            _source(model, name) for name in ("tasks", "execution_logs", "agent_executions")
        )
        self._task, self._log = (_mapped(table) for table in (self._tasks, self._logs))
        self._url = database_url
        self._writer = DualWriter(model, database_url, mode="inline", limits=Limits(lease=_LEASE_SECONDS, times=times))
        self._random = Random(len(model.entities))  # noqa: S311 - what is written guards no secret
        self._stop = Event()
        self._thread = ThreadPoolExecutor(1, "demo writer")
        self._done: Future[None]
        self._seconds: list[float] = []
        self._logged: list[str] = []
        self._told = (0, 0, time.monotonic())

    def __enter__(self) -> Self:
        self._done = self._thread.submit(asyncio.run, self._run())
        self._told = (0, 0, time.monotonic())
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.shutdown()
        self._done.result()

    def written(self) -> Written:
        """What was written since this was asked for last."""
        commits, mirrored, since = self._told
        self._told = (len(self._seconds), self._writer.counts.mirrored, time.monotonic())
        took = self._seconds[commits : self._told[0]]
        return Written(len(took), self._told[1] - mirrored, self._told[2] - since, 1000 * median(took) if took else 0.0)

    async def _run(self) -> None:
        engine = create_async_engine(self._url.replace("postgresql://", "postgresql+asyncpg://", 1))
        sessions = async_sessionmaker(engine)
        self._writer.attach(sessions)
        try:
            async with self._writer:
                async with sessions() as session:
                    known = [await _ids(session, table) for table in (self._tasks, self._executions)]
                begun = time.monotonic()
                while not self._stop.is_set():
                    started = time.monotonic()
                    async with sessions.begin() as session:
                        await self._write(session, *known)
                    self._seconds.append(time.monotonic() - started)
                    ahead = len(self._seconds) / COMMITS_PER_SECOND - (time.monotonic() - begun)
                    await asyncio.sleep(max(0.0, ahead))
        finally:
            self._writer.detach()
            await engine.dispose()

    async def _write(self, session: AsyncSession, tasks: Sequence[str], executions: Sequence[str]) -> None:
        """One row: a task changes, or a log entry comes, or goes."""
        now = datetime.now(UTC)
        what = self._random.random()
        if what < 0.5:  # noqa: PLR2004 - one in two
            task = await session.get_one(self._task, self._random.choice(tasks))
            task.status, task.updated_at = self._random.choice(("pending", "running", "completed")), now
        elif what < 0.9 or not self._logged:  # noqa: PLR2004 - four in ten
            key = f"live-{len(self._seconds)}"
            self._logged.append(key)
            execution = self._random.choice(executions)
            session.add(self._log(id=key, execution_id=execution, log_level="info", message="live", created_at=now))
        else:
            await session.delete(await session.get_one(self._log, self._logged.pop()))


def _source(model: Model, name: str) -> sa.Table:
    return next(entity.source for entity in model.entities if entity.source_name == name)


def _mapped(table: sa.Table) -> Any:  # noqa: ANN401 - a class that SQLAlchemy gives its attributes
    made = type(table.name, (_Row,), {})
    registry().map_imperatively(made, table)
    return made


async def _ids(session: AsyncSession, table: sa.Table) -> list[str]:
    return list((await session.scalars(sa.select(table.c.id).limit(_KNOWN_ROWS))).all())
