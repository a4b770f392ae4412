"""The application whose life is told: sessions that read and write all eleven entities through repositories.

It writes down what it has done and seen, and ends when it is asked to. Environment: `LIFE_NUMBER` tells its numbers
from those of other processes, `LIFE_ROWS` is the file of the rows that it works on, `LIFE_HISTORY` the file to write
to, and `LIFE_LEASE` for how many seconds it goes by a phase. With `LIFE_KEYS`, a file of rows, it reads each of them
once, and ends.

    MIGRATOR_TEST_TABLE=... DATABASE_URL=... LIFE_...=... python -m tests.support.life_app
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from migrator.app import DualWriter, Limits, ReadLimits, Router
from migrator.app.repository import (
    AsyncRepository,
    ConflictError,
    FencedError,
    NotFoundError,
    PausedError,
    UnavailableError,
)
from migrator.reconcile import Times
from tests.support.history import END
from tests.support.history_file import Recorder
from tests.support.life_rows import Drawer, asked, heard, is_removable, key_of, value_of
from tests.support.renamed import MODEL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.app import Mode
    from migrator.app.repository import Record
    from migrator.mapping import Entity
    from tests.support.history import Outcome
    from tests.support.story_rows import Values

_Change: TypeAlias = "tuple[AsyncRepository, Record | None, Record | None]"
"""Where a row is written, what is put, and what was found there before."""
NUMBERS: Final = 100_000
"""How many changes one process can make."""
SESSIONS: Final = 8
WRITES: Final = 0.2
"""The share of operations that write; the others read."""
QUERIES: Final = 0.15
"""The share of reads that ask an access pattern, of an index as a rule."""
_KINDS: Final = {"change": 6, "delete": 2, "new": 2, "together": 1}
_ANSWERS: Final = 5
_PATIENCE: Final = 30.0


class Application:
    """The stores as an application has them, and what its sessions do there.

    Args:
        number: what tells it from others.
        recorder: where it writes down what it does.
        lease: for how many seconds it goes by a phase.
    """

    def __init__(self, number: int, recorder: Recorder, lease: float) -> None:
        url = os.environ["DATABASE_URL"]
        times = Times(
            *(float(os.environ[f"MIGRATOR_{each}_SECONDS"]) for each in ("REQUEST", "PAGE", "SIGNATURE", "CLOCK_SKEW"))
        )
        self.engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=SESSIONS)
        self.sessions = async_sessionmaker(self.engine)
        mode = cast("Mode", os.environ.get("LIFE_MODE", "background"))
        limits = Limits(attempt=3.0, lease=min(lease, 0.5), rest=1.0, times=times)
        self.writer = DualWriter(MODEL, url, mode=mode, limits=limits)
        self.writer.attach(self.sessions)
        self.router = Router(MODEL, url, writer=self.writer, limits=ReadLimits(deadline=2.0, lease=lease, sample=0.02))
        self.repositories = {
            each.name: AsyncRepository(self.router, each.name, self.sessions) for each in MODEL.entities
        }
        self._name = f"a{number}"
        self._recorder = recorder

    async def read(self, session: str, entity: Entity, values: Values) -> Record | None:
        """Read a row, and write down what was found; a read that gets no answer says nothing.

        Raises:
            UnavailableError: there was no answer.
        """
        key, begin = {name: values[name] for name in asked(entity)}, time.monotonic()
        try:
            record = await self.repositories[entity.name].get(**key)
        except NotFoundError:
            record = None
        found = None if record is None else value_of(entity, record)
        self._recorder.read(session, key_of(entity, values), begin, found)
        return record

    async def live(self, number: int, drawer: Drawer, random: Random, rate: float, stop: asyncio.Event) -> None:
        """What one session does, so many operations a second, until it is to stop."""
        session, begun, done = f"{self._name}.{number}", time.monotonic(), 0
        while not stop.is_set():
            with suppress(UnavailableError):
                if random.random() < WRITES:
                    (kind,) = random.choices(list(_KINDS), list(_KINDS.values()))
                    await (self._join(session, drawer) if kind == "together" else self._write(session, kind, drawer))
                elif random.random() < QUERIES:
                    await self._query(session, drawer)
                else:
                    await self.read(session, *drawer.row())
            done += 1
            ahead = done / rate - (time.monotonic() - begun)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.0, ahead))

    async def _query(self, session: str, drawer: Drawer) -> None:
        """Ask a question that a row answers, and write down the answers that are rows which are worked on."""
        pattern, parameters = drawer.question()
        entity, begin = pattern.entity, time.monotonic()
        async for record in self.repositories[entity.name].query(pattern.id, limit=_ANSWERS, **parameters):
            key = key_of(entity, record.model_dump())
            if key in drawer.keys:
                self._recorder.read(session, key, begin, value_of(entity, record))

    async def _join(self, session: str, drawer: Drawer) -> None:
        """Write a user and its membership together."""
        changes: list[_Change] = []
        numbers = []
        for entity, values in drawer.joining():
            made = self.repositories[entity.name].record(**values)
            changes.append((self.repositories[entity.name], made, None))
            numbers.append(self._recorder.begun(session, key_of(entity, values), value_of(entity, made), None))
        outcome = await self._outcome(*changes)
        for number in numbers:
            self._recorder.ended(number, outcome)

    async def _write(self, session: str, kind: str, drawer: Drawer) -> None:
        """Read a row, as those who write one do, and write it as it was found: new, other, or not any more."""
        entity, values = drawer.new() if kind == "new" else drawer.row()
        repository = self.repositories[entity.name]
        found = None if kind == "new" else await self.read(session, entity, values)
        replaces = None if found is None else value_of(entity, found)
        if found is None:
            made: Record | None = repository.record(**(values if kind == "new" else drawer.again(entity, values)))
        elif kind == "delete" and is_removable(entity):
            made = None
        else:
            made = found.model_copy(update=drawer.change(entity))
        value = None if made is None else value_of(entity, made)
        number = self._recorder.begun(session, key_of(entity, values), value, replaces)
        self._recorder.ended(number, await self._outcome((repository, made, found)))

    async def _outcome(self, *changes: _Change) -> Outcome:
        """Make changes in one block."""
        try:
            async with changes[0][0].writing() as block:
                for repository, made, found in changes:
                    if made is not None:
                        await repository.put(block, made)
                    elif found is not None:
                        await repository.delete(block, found)
        except (ConflictError, NotFoundError, PausedError, FencedError):
            return "refused"
        except UnavailableError:
            return "unknown"
        return "acknowledged"


def main() -> None:
    """Live until SIGTERM, or read what is to be read."""
    with Path(os.environ["LIFE_HISTORY"]).open("ab", buffering=0) as file:
        recorder = Recorder(file)
        keys = os.environ.get("LIFE_KEYS")
        rows = heard(Path(keys or os.environ["LIFE_ROWS"]).read_text())
        asyncio.run(_live(recorder, rows) if keys is None else _read_all(recorder, rows))


@asynccontextmanager
async def opened(recorder: Recorder) -> AsyncIterator[Application]:
    """Yield the application of this process."""
    application = Application(int(os.environ["LIFE_NUMBER"]), recorder, float(os.environ["LIFE_LEASE"]))
    try:
        async with application.writer, application.router:
            yield application
    finally:
        await application.engine.dispose()


async def _live(recorder: Recorder, rows: dict[str, list[Values]]) -> None:
    """Work on rows until SIGTERM."""
    stop, number = asyncio.Event(), int(os.environ["LIFE_NUMBER"])
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    random = Random(f"{os.environ['LIFE_SEED']} {number}")  # noqa: S311 - repeatable, not secret
    drawer, rate = Drawer(random, rows, number * NUMBERS), float(os.environ["LIFE_RATE"]) / SESSIONS
    async with opened(recorder) as application, asyncio.TaskGroup() as group:
        for each in range(SESSIONS):
            group.create_task(application.live(each, drawer, random, rate, stop))


async def _read_all(recorder: Recorder, rows: dict[str, list[Values]]) -> None:
    """Read each row once, when all is over."""
    deadline = time.monotonic() + _PATIENCE
    async with opened(recorder) as application:
        for entity in MODEL.entities:
            for values in rows[entity.name]:
                while time.monotonic() < deadline:
                    with suppress(UnavailableError):
                        await application.read(END, entity, values)
                        break


if __name__ == "__main__":
    main()
