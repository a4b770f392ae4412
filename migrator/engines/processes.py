"""Work shared out to processes: each asks for its next task when it is free for one, so that all end together.

Work for a single process is done in this one, by the same code.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from dataclasses import dataclass
from multiprocessing import connection as channels
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from migrator.engines.workers import Done, Failure, Next, Said, Workers
from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from migrator.engines.workers import End

Task = TypeVar("Task")
Message = TypeVar("Message")
Message_co = TypeVar("Message_co", covariant=True)
Message_contra = TypeVar("Message_contra", contravariant=True)
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


class Foreman(Protocol[Message_contra]):
    """Hands a worker its tasks, and is told how they go."""

    async def take(self, kind: type[Task]) -> Task | None:
        """The next task of this kind; None where none is left."""

    def tell(self, message: Message_contra) -> None:
        """Passes a message on to whoever has shared out the work."""


class Work(Protocol[Message_co, Result_co]):
    """What each worker does. It can be pickled, unless a single process does all of it."""

    async def __call__(self, foreman: Foreman[Message_co]) -> Result_co:
        """Does tasks until none is left."""


@dataclass(frozen=True)
class Loss:
    """What to say where a worker was killed: what is safe, and what to do next."""

    safe: str
    next_step: str


async def share_out(
    work: Work[Message, Result],
    processes: int,
    tasks: Iterable[object],
    told: Callable[[Message], None],
    loss: Loss,
) -> list[Result]:
    """Has all tasks done in so many processes, at most as many as there are tasks; returns what each came to.

    Args:
        work: what each process does.
        processes: how many; one is this process itself.
        tasks: handed out one by one, to whoever asks first for one of their type.
        told: is given the workers' messages, one at a time.
        loss: what to say where a worker was killed.

    Raises:
        MigratorError: a worker failed, or was killed. No worker is left then.
    """
    waiting = _Waiting(tasks)
    if processes <= 1:
        return [await work(_Here(waiting, told))]
    workers = Workers.start(work, processes)
    try:
        stop = threading.Event()
        try:
            return await asyncio.to_thread(_lead, workers, waiting, told, loss, stop)
        finally:
            stop.set()
    finally:
        workers.let_go()
        await asyncio.to_thread(workers.join)


class _Waiting:
    """The tasks that are still to be handed out, by type."""

    def __init__(self, tasks: Iterable[object]) -> None:
        by_kind: dict[type, list[object]] = defaultdict(list)
        for task in tasks:
            by_kind[type(task)].append(task)
        self._left = {kind: iter(each) for kind, each in by_kind.items()}

    def next(self, kind: type) -> object | None:
        """The next one of a type."""
        return next(self._left.get(kind, iter(())), None)


class _Here(Generic[Message]):
    """The foreman of a single worker, in this process."""

    def __init__(self, waiting: _Waiting, told: Callable[[Message], None]) -> None:
        self._waiting = waiting
        self.tell = told

    async def take(self, kind: type[Any]) -> Any:  # noqa: ANN401 - of that type
        """As in `Foreman`."""
        return self._waiting.next(kind)


def _lead(
    workers: Workers, waiting: _Waiting, told: Callable[[Any], None], loss: Loss, stop: threading.Event
) -> list[Any]:
    """Answers the workers until each has said its last word; returns these."""
    results = []
    working = set(workers.channels)
    while working and not stop.is_set():
        for ready in channels.wait(working, timeout=0.2):
            channel: Any = ready
            try:
                message = channel.recv()
                if isinstance(message, Next):
                    channel.send(waiting.next(message.kind))
            except (EOFError, OSError):
                raise _killed(workers.end_of(channel), loss) from None
            match message:
                case Said():
                    told(message.message)
                case Done():
                    results.append(message.result)
                    working.remove(channel)
                case Failure():
                    raise message.error()
        if working and (end := workers.lost()) is not None:
            raise _killed(end, loss)
    return results


def _killed(end: End, loss: Loss) -> MigratorError:
    """A worker has gone without a word."""
    return MigratorError(
        f"a worker (pid {end.pid}) ended with {end.code} before its work was done",
        safe=loss.safe,
        next_step=loss.next_step,
    )
