"""A copy as a user runs it, killed with `kill -9` at random moments and run again, until it is done.

The moments are drawn uniformly over the copy as a whole: how long the rest will take is estimated from what the runs
before have settled in the time that they worked, and the next moment is the first of as many as are still to come. Some
kills come before a run has begun to work.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Literal

from tests.support import preloaded, processes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from migrator.postgres.connection import Connection
    from tests.support.migration import Migration

ROOT = Path(__file__).parents[2]
_POLL_SECONDS = 0.005
# First guesses, soon outweighed by what is seen: seconds until a run sends, and rows settled in a second of work.
_START_SECONDS = 1.0
_ROWS_PER_SECOND = 5_000
# The share of kills that come before a run has begun to work.
_EARLY = 0.1

_STANDING = """
SELECT coalesce(sum(row_count), 0)::int,
       (count(*) FILTER (WHERE last_sent_at IS NOT NULL AND settled_at IS NULL))::int,
       extract(epoch FROM max(last_sent_at))::float
FROM migrator.copy_ranges
"""


@dataclass(frozen=True)
class Kill:
    """One kill: whom it hit, how many seconds after the first request, and where the copy stood when all was over.

    `rows` are settled, `gained` of them since the kill before; `under_way` ranges had been sent from, and not settled.
    """

    victim: Literal["copy", "worker", "early"]
    seconds: float
    rows: int
    gained: int
    under_way: int

    @property
    def in_the_middle(self) -> bool:
        """Whether it came while rows were on their way."""
        return self.victim != "early" and self.under_way > 0


@dataclass
class Killed:
    """What became of a copy: the kills, and how many runs ended before their moment came."""

    kills: list[Kill] = field(default_factory=list)
    completed: int = 0

    def show(self) -> str:
        """A line for each kill."""
        lines = (f"{kill.victim:6} {kill.seconds:6.2f} s {kill.rows:8,} rows, {kill.gained:+7,}" for kill in self.kills)
        return "\n".join([*lines, f"{len(self.kills)} kills; {self.completed} runs ended before theirs"])


@dataclass(frozen=True)
class Run:
    """A copy that runs: its process, and what it prints."""

    process: preloaded.Forked
    output: IO[bytes]
    started: float

    async def ended(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, or for some seconds; return whether it has."""
        with suppress(TimeoutError):
            await asyncio.to_thread(self.process.wait, seconds)
        return self.process.returncode is not None

    def text(self) -> str:
        self.output.seek(0)
        return self.output.read().decode(errors="replace")


class Killer:
    """Runs copies of a migration and kills them.

    Args:
        migration: what is copied, from a source of `total` rows.
        connection: a session to see by where the copy stands.
        total: rows of the source.
        seed: of the moments and of the victims.
        workers: processes of the runs, in turns. With more than one, a kill hits the copy itself, a worker, or what
            workers are forked from.
    """

    def __init__(
        self, migration: Migration, connection: Connection, total: int, *, seed: int, workers: Sequence[int]
    ) -> None:
        self.killed = Killed()
        self._migration = migration
        self._connection = connection
        self._total = total
        self._workers = cycle(workers)
        self._random = Random(seed)  # noqa: S311 - repeatable, not secret
        self._start_seconds = _START_SECONDS
        self._worked = 1.0
        self._gained = _ROWS_PER_SECOND

    async def run(self, kills: int) -> Killed:
        """Kill a copy so many times, then let it end. One that ends before its moment is begun anew."""
        rows, restart = 0, False
        while len(self.killed.kills) < kills:
            kill = await self._attempt(rows, kills - len(self.killed.kills), restart=restart)
            restart = kill is None
            rows = 0 if kill is None else kill.rows
            if kill is None:
                self.killed.completed += 1
            else:
                self.killed.kills.append(kill)
        async with self._running(restart=restart) as run:
            await run.ended()
            assert run.process.returncode == 0, run.text()
        return self.killed

    async def _attempt(self, before: int, kills_left: int, *, restart: bool) -> Kill | None:
        """One run and its kill; None where it ended before."""
        early = self._random.random() < _EARLY
        async with self._running(restart=restart) as run:
            if early:
                begun = time.monotonic()
                await run.ended(self._random.uniform(0, self._start_seconds))
            else:
                begun = await self._until_begun(run)
                await run.ended(self._moment(self._total - before, kills_left))
            seconds = time.monotonic() - begun
            victim = await self._kill(run)
        rows, under_way, _ = await self._connection.fetchrow(_STANDING)
        if not early:
            self._worked += seconds
            self._gained += max(0, rows - before)
        if victim is None:
            return None
        return Kill("early" if early else victim, seconds, rows, rows - before, under_way)

    def _moment(self, rows_left: int, kills_left: int) -> float:
        """Seconds of work to the first of `kills_left` moments that are uniform over the time the rest will take."""
        share = 1 - self._random.random() ** (1 / kills_left)
        return float(rows_left * self._worked / self._gained * share)

    async def _kill(self, run: Run) -> Literal["copy", "worker"] | None:
        """Kill the copy, or one of its workers, and see that nothing of it lives on; None where it had ended."""
        leader = run.process.pid
        pid = self._random.choice([leader, *processes.workers(leader)])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await run.ended()
        assert await asyncio.to_thread(processes.gone, leader), f"still alive: {processes.members(leader)}"
        if run.process.returncode == 0:
            return None
        if pid == leader:
            assert run.process.returncode == -signal.SIGKILL, run.text()
            return "copy"
        assert run.process.returncode == 1, run.text()
        assert f"a worker (pid {pid}) ended with -9" in run.text()
        return "worker"

    async def _until_begun(self, run: Run) -> float:
        """Wait until the run has recorded that it is about to send, or has ended; return that moment."""
        since: float = await self._connection.fetchval("SELECT extract(epoch FROM clock_timestamp())::float")
        while not await run.ended(_POLL_SECONDS):
            _, _, last_sent_at = await self._connection.fetchrow(_STANDING)
            if last_sent_at is not None and last_sent_at > since:
                self._start_seconds = time.monotonic() - run.started
                break
        return time.monotonic()

    @asynccontextmanager
    async def _running(self, *, restart: bool) -> AsyncIterator[Run]:
        """Start a copy as a user does; nothing of it is left after the block."""
        command = ["migrator", "copy", "--workers", str(next(self._workers)), *["--restart", "--yes"] * restart]
        environment = {**os.environ, **self._migration.variables}
        with TemporaryFile() as output, TemporaryFile() as nothing:
            process = await asyncio.to_thread(preloaded.start, command, ROOT, environment, [nothing, output, output])
            try:
                yield Run(process, output, time.monotonic())
            finally:
                processes.end(process.pid)
                await asyncio.to_thread(process.wait)
