"""Work shared out to processes: each asks for its next task when it is free for one, so that all end together.

Each worker is spoken to over a pipe of its own; nothing is shared that a killed worker could leave locked. A worker
ends when its parent does, however that ends. Work for a single process is done in this one, by the same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import defaultdict
from dataclasses import dataclass
from multiprocessing import connection as channels
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

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
    crew: list[_Worker] = []
    try:
        with _deaf():
            crew += (_Worker.start(work) for _ in range(processes))
        stop = threading.Event()
        try:
            return await asyncio.to_thread(_lead, crew, waiting, told, loss, stop)
        finally:
            stop.set()
    finally:
        for worker in crew:
            worker.channel.close()
            worker.process.terminate()
        for worker in crew:
            await asyncio.to_thread(worker.process.join)


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


@dataclass(frozen=True)
class _Worker:
    """A worker process, and the parent's end of its pipe."""

    channel: Connection[Any, Any]
    process: SpawnProcess

    @classmethod
    def start(cls, work: Work[Any, Any]) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_main, args=(work, theirs), daemon=True)
        process.start()
        theirs.close()
        return cls(ours, process)

    def killed(self, loss: Loss) -> MigratorError:
        """It has gone without a word."""
        self.process.join(1)
        return MigratorError(
            f"a worker (pid {self.process.pid}) ended with {self.process.exitcode} before its work was done",
            safe=loss.safe,
            next_step=loss.next_step,
        )


@dataclass(frozen=True)
class _Next:
    """A worker asks for its next task."""

    kind: type


@dataclass(frozen=True)
class _Said:
    """A worker tells something."""

    message: Any


@dataclass(frozen=True)
class _Done:
    """A worker's last word."""

    result: Any


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
    crew: Sequence[_Worker], waiting: _Waiting, told: Callable[[Any], None], loss: Loss, stop: threading.Event
) -> list[Any]:
    """Answers the workers until each has said its last word; returns these."""
    results = []
    working = {worker.channel: worker for worker in crew}
    while working and not stop.is_set():
        for ready in channels.wait(list(working), timeout=0.2):
            channel: Any = ready
            try:
                message = channel.recv()
                if isinstance(message, _Next):
                    channel.send(waiting.next(message.kind))
            except (EOFError, OSError):
                raise working[channel].killed(loss) from None
            match message:
                case _Said():
                    told(message.message)
                case _Done():
                    results.append(message.result)
                    del working[channel]
                case _Failure():
                    raise message.error()
    return results


def _main(work: Work[Any, Any], channel: Connection[Any, Any]) -> None:
    """A worker process."""
    threading.Thread(target=_follow_parent, daemon=True).start()
    with contextlib.suppress(BrokenPipeError, EOFError, ConnectionResetError):
        try:
            result = asyncio.run(_work(work, channel))
        except MigratorError as error:
            channel.send(_Failure(type(error), error.what, error.safe, error.next_step))
        else:
            channel.send(_Done(result))
    # All has been said: what this process holds need not be taken apart while others work.
    sys.stderr.flush()
    os._exit(0)


async def _work(work: Work[Any, Any], channel: Connection[Any, Any]) -> object:
    return await work(_Afar(channel))


def _follow_parent() -> None:
    """Ends this process as soon as its parent has ended: a new run may already be under way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        channels.wait([parent.sentinel])
    os._exit(1)


class _Afar:
    """The foreman as a worker process sees it: at the other end of its pipe."""

    def __init__(self, channel: Connection[Any, Any]) -> None:
        self._channel = channel
        self._speaking = threading.Lock()

    async def take(self, kind: type[Any]) -> Any:  # noqa: ANN401 - of that type
        """As in `Foreman`."""
        return await asyncio.to_thread(self._ask, kind)

    def tell(self, message: object) -> None:
        """As in `Foreman`."""
        with self._speaking:
            self._channel.send(_Said(message))

    def _ask(self, kind: type) -> object | None:
        with self._speaking:
            self._channel.send(_Next(kind))
            answer: object | None = self._channel.recv()
            return answer
