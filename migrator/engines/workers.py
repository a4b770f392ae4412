"""Worker processes, and what they and their parent say to each other.

The parent starts one process, which imports what the work needs, once, with neither thread nor socket nor event loop.
The workers are forked from it: importing costs more than all else that a worker does before its first task. Where a
mapping module starts a thread when it is imported, nothing can be forked safely, and each worker imports for itself.
The first process stays to wait for them, so that their parent learns how each ended, and the system adds what they have
used to what it has.

Each worker is spoken to over a pipe of its own; nothing is shared that a killed worker could leave locked. All of them
end when their parent does, however that ends: it alone holds the other end of what they wait on.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeAlias

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.engines.processes import Work

_PATIENCE_SECONDS: Final = 5.0
"""So long may what is imported take, once nobody waits for it any more."""

_PROGRAM: Final = """
import gc, sys
from multiprocessing.connection import Connection
gc.disable()
with Connection(int(sys.argv[1]), writable=False) as told:
    begin = told.recv()
sys.path[:] = begin[0]
from migrator.engines.workers import part
part(begin, *sys.argv[2:])
"""
"""The process that the workers are forked from. What is imported stays: to look through it for garbage, time and again,
would be a fifth of what importing costs."""

_Begin: TypeAlias = tuple[list[str], bytes]
"""Where to import from, and the pickled work."""


@dataclass(frozen=True)
class Next:
    """A worker asks for its next task."""

    kind: type


@dataclass(frozen=True)
class Said:
    """A worker tells something."""

    message: Any


@dataclass(frozen=True)
class Done:
    """A worker's last word."""

    result: Any


@dataclass(frozen=True)
class Failure:
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


@dataclass(frozen=True)
class End:
    """A process has ended; with the number of the signal that killed it, below zero, or its exit code."""

    pid: int
    code: int | None


@dataclass(frozen=True)
class Workers:
    """Worker processes as their parent holds them.

    Attributes:
        channels: the parent's end of each worker's pipe.
    """

    channels: Sequence[Connection[Any, Any]]
    _first: subprocess.Popen[bytes]
    _leash: Connection[Any, Any]
    _ends: Connection[Any, Any]
    _reading: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def start(cls, work: Work[Any, Any], count: int) -> Workers:
        """Starts so many workers at this work, which can be pickled. They see this process's environment and path."""
        begin = (sys.path, pickle.dumps(work))
        ours, theirs = zip(*(Pipe() for _ in range(count)), strict=True)
        held, leash = Pipe(duplex=False)
        ends, ended = Pipe(duplex=False)
        first = _launch(begin, [held, ended, *theirs])
        for each in (held, ended, *theirs):
            each.close()
        return cls(ours, first, leash, ends)

    def lost(self) -> End | None:
        """How the process ended that waits for the workers, where it did not end as it should."""
        code = self._first.poll()
        return End(self._first.pid, code) if code else None

    def end_of(self, channel: Connection[Any, Any]) -> End:
        """How the worker ended whose pipe is closed."""
        number = self.channels.index(channel)
        with self._reading:
            try:
                while self._ends.poll(1):
                    ended: tuple[int, End] = self._ends.recv()
                    if ended[0] == number:
                        return ended[1]
            except EOFError:
                self._first.wait()
        return End(self._first.pid, self._first.poll())

    def let_go(self) -> None:
        """Has every worker end, wherever it is in its work."""
        self._leash.close()
        for channel in self.channels:
            channel.close()

    def join(self) -> None:
        """Returns when no worker is left."""
        with self._reading, contextlib.suppress(EOFError):
            while self._ends.poll(_PATIENCE_SECONDS):
                self._ends.recv()
            self._first.terminate()
            while True:
                self._ends.recv()
        self._first.wait()


def _launch(begin: _Begin, given: Sequence[Connection[Any, Any]]) -> subprocess.Popen[bytes]:
    """Starts a process that is given these, and told how to begin: not in its command line, which everybody sees."""
    told, telling = Pipe(duplex=False)
    numbers = [each.fileno() for each in (told, *given)]
    command = [sys.executable, "-c", _PROGRAM, *map(str, numbers)]
    with _deaf():
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=numbers)  # noqa: S603 - this program's
    told.close()
    # Where it has ended already, that is found when it is looked for.
    with telling, contextlib.suppress(BrokenPipeError):
        telling.send(begin)
    return process


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Holds Ctrl-C back. Processes started meanwhile never hear it: it is the parent's to answer."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def part(begin: _Begin, *given: str) -> NoReturn:
    """Has workers at work, and waits for them, or is the only one; is given the numbers of what it has inherited."""
    work = pickle.loads(begin[1])  # noqa: S301 - the parent's own
    leash, ends, *pipes = [Connection(int(each)) for each in given]
    gc.freeze()
    if leash.poll():
        os._exit(0)
    if len(pipes) == 1:
        _main(work, pipes[0], leash)
    alone = threading.active_count() == 1
    # Held until all have ended: one that is let go of is waited for behind this function's back.
    launched = [] if alone else [_launch(begin, [leash, ends, channel]) for channel in pipes]
    pids = [_fork(work, channel, pipes, leash) for channel in pipes] if alone else [each.pid for each in launched]
    for channel in pipes:
        channel.close()
    with contextlib.suppress(BrokenPipeError):
        for _ in pipes:
            pid, status = os.wait()
            ends.send((pids.index(pid), End(pid, os.waitstatus_to_exitcode(status))))
    # Threads that were started while it imported are waited for by nobody.
    os._exit(0)


def _fork(
    work: Work[Any, Any],
    channel: Connection[Any, Any],
    pipes: Sequence[Connection[Any, Any]],
    leash: Connection[Any, Any],
) -> int:
    """Forks the worker that is at the other end of a channel; returns its number."""
    pid = os.fork()
    if not pid:
        for other in {*pipes} - {channel}:
            other.close()
        _main(work, channel, leash)
    return pid


def _main(work: Work[Any, Any], channel: Connection[Any, Any], leash: Connection[Any, Any]) -> NoReturn:
    """A worker process."""
    gc.enable()
    threading.Thread(target=_follow, args=(leash,), daemon=True).start()
    with contextlib.suppress(BrokenPipeError, EOFError, ConnectionResetError):
        try:
            result = asyncio.run(_work(work, channel))
        except MigratorError as error:
            channel.send(Failure(type(error), error.what, error.safe, error.next_step))
        else:
            channel.send(Done(result))
    # All has been said: what this process holds need not be taken apart while others work.
    sys.stderr.flush()
    os._exit(0)


async def _work(work: Work[Any, Any], channel: Connection[Any, Any]) -> object:
    return await work(_Afar(channel))


def _follow(leash: Connection[Any, Any]) -> None:
    """Ends this process as soon as its parent has ended or lets go of it: a new run may already be under way."""
    wait([leash])
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
            self._channel.send(Said(message))

    def _ask(self, kind: type) -> object | None:
        with self._speaking:
            self._channel.send(Next(kind))
            answer: object | None = self._channel.recv()
            return answer
