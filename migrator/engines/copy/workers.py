"""A copy in several processes. The parent hands out ranges one by one, so that all of them end together.

Each worker is spoken to over a pipe of its own; nothing is shared that a killed worker could leave locked. A worker
ends when its parent does, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing import connection as channels
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from migrator.engines.copy.crew import Crew, Task
from migrator.engines.copy.progress import Settled, Tally
from migrator.errors import MigratorError
from migrator.postgres.checkpoints import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from migrator.engines.copy.job import Limits
    from migrator.engines.copy.progress import Listener
    from migrator.engines.stores import Stores


@dataclass(frozen=True)
class _Order:
    """What a worker is started with."""

    mappings: str
    model: str
    stores: Stores
    limits: Limits


@dataclass(frozen=True)
class _Failure:
    """A worker's error on its way to the parent."""

    kind: type[MigratorError]
    what: str
    safe: str | None
    next_step: str | None

    def error(self) -> MigratorError:
        """The error as it was raised, for whoever prints it."""
        error = self.kind.__new__(self.kind)
        MigratorError.__init__(error, self.what, safe=self.safe, next_step=self.next_step)
        return error


class _Done:
    """A worker's last word: what it has sent."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally


class _Next:
    """A worker asks for its next task."""


async def run(  # noqa: PLR0913, PLR0917 - what a run is made of
    mappings: str,
    model: str,
    stores: Stores,
    limits: Limits,
    tasks: list[Task],
    listener: Listener,
    counts: dict[str, Counts],
) -> Tally:
    """Copies the tasks in `limits.workers` processes, adding to `counts` what is settled.

    Raises:
        MigratorError: a worker failed, or was killed. What is settled stays.
    """
    share = None if limits.max_wcu is None else limits.max_wcu / limits.workers
    order = _Order(mappings, model, stores, replace(limits, max_wcu=share))
    context = multiprocessing.get_context("spawn")
    foremen: list[tuple[Connection[Any, Any], SpawnProcess]] = []
    try:
        with _deaf():
            for _ in range(limits.workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_main, args=(order, theirs), daemon=True)
                process.start()
                theirs.close()
                foremen.append((ours, process))
        stop = threading.Event()
        try:
            return await asyncio.to_thread(_lead, dict(foremen), iter(tasks), listener, counts, stop)
        finally:
            stop.set()
    finally:
        for ours, process in foremen:
            ours.close()
            process.terminate()
        for _, process in foremen:
            await asyncio.to_thread(process.join)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Holds Ctrl-C back. A process started meanwhile never hears it: it is the parent's to answer."""
    # Started first: starting it lets signals through again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _lead(
    workers: dict[Connection[Any, Any], SpawnProcess],
    tasks: Any,  # noqa: ANN401 - an iterator of tasks
    listener: Listener,
    counts: dict[str, Counts],
    stop: threading.Event,
) -> Tally:
    """Answers the workers until each has said its last word."""
    tally = Tally()
    open_channels = dict(workers)
    while open_channels and not stop.is_set():
        for ready in channels.wait(list(open_channels), timeout=0.2):
            channel: Any = ready
            try:
                message = channel.recv()
            except (EOFError, OSError):
                raise _killed(open_channels[channel]) from None
            match message:
                case _Next():
                    channel.send(next(tasks, None))
                case Settled():
                    counts[message.source] = counts.get(message.source, Counts()) + message.counts
                    listener.settled(message)
                case _Done():
                    tally.add(message.tally)
                    del open_channels[channel]
                case _Failure():
                    raise message.error()
    return tally


def _killed(process: SpawnProcess) -> MigratorError:
    process.join(1)
    return MigratorError(
        f"a worker (pid {process.pid}) ended with {process.exitcode} before its work was done",
        safe="What is settled stays.",
        next_step="Run the command again: it goes on from there. If the system killed it, see how much memory it has.",
    )


def _main(order: _Order, channel: Connection[Any, Any]) -> None:
    """A worker process."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    with contextlib.suppress(BrokenPipeError, EOFError, ConnectionResetError):
        try:
            tally = asyncio.run(_work(order, channel))
        except MigratorError as error:
            channel.send(_Failure(type(error), error.what, error.safe, error.next_step))
        else:
            channel.send(_Done(tally))


def _follow_parent() -> None:
    """Ends this process as soon as its parent has ended: a new run may already be under way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        channels.wait([parent.sentinel])
    os._exit(1)


async def _work(order: _Order, channel: Connection[Any, Any]) -> Tally:
    model = import_module(order.mappings).MODEL
    crew = Crew(order.stores, {entity.source_name: entity for entity in model.entities}, order.limits)
    asking = threading.Lock()

    def ask() -> Task | None:
        with asking:
            channel.send(_Next())
            answer: Task | None = channel.recv()
            return answer

    def settled(page: Settled) -> None:
        with asking:
            channel.send(page)

    return await crew.work(order.model, lambda: asyncio.to_thread(ask), settled)
