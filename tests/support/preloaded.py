"""Python programs as processes that have nothing to import any more: forked from one that has imported it all.

A command spends most of its time on imports, and the tests run hundreds. It has its own memory, environment, directory,
standard streams and exit code, and is the leader of its process group, as one that a shell starts; only how it is
started is another way.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, NoReturn

from migrator.cli.group import COMMANDS, load_command
from migrator.dynamodb.session import aws_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

_ROOT: Final = Path(__file__).parents[2]
# What programs import when they need it, or have others import.
_LOADED_LATE: Final = (
    "alembic.config",
    "boto3.session",
    "botocore.endpoint",
    "fastapi",
    "hypercorn.__main__",
    "hypercorn.asyncio.run",
    "migrator.app.repository",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.ext.asyncio",
)
_SIZE: Final = 1 << 20
_STREAMS: Final = 3


class Forked:
    """A program that was started.

    Args:
        telling: where its process is told of, by the one that it was forked from: first its number, then how it ended.
    """

    def __init__(self, telling: socket.socket) -> None:
        self._telling = telling
        self._waiting = RLock()
        self.pid = int(telling.recv(64))
        self.returncode: int | None = None

    def wait(self, seconds: float | None = None) -> int:
        """Wait until it has ended; returns its code, which is below zero where a signal has ended it.

        Raises:
            TimeoutError: it has not, within so many seconds.
        """
        with self._waiting:
            if self.returncode is None:
                self._telling.settimeout(seconds)
                self.returncode = int(self._telling.recv(64))
                self._telling.close()
            return self.returncode

    def poll(self) -> int | None:
        """Its code; None while it runs."""
        if self._waiting.acquire(blocking=False):
            try:
                with suppress(BlockingIOError):
                    self.wait(0)
            finally:
                self._waiting.release()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    program: Sequence[str], directory: Path, environment: Mapping[str, str], streams: Sequence[IO[Any] | int]
) -> Forked:
    """Start a module with its arguments, as `python -m` does, with these three as its standard streams."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    task = {"program": list(program), "directory": str(directory), "environment": dict(environment)}
    with theirs:
        numbers = [stream if isinstance(stream, int) else stream.fileno() for stream in streams]
        socket.send_fds(_nursery().asking, [json.dumps(task).encode()], [*numbers, theirs.fileno()])
    return Forked(ours)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed; `code` is below zero where a signal has ended it."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shown:
    """How a command ended, and what a terminal shows of it: output and errors as they came."""

    code: int
    text: str


@dataclass(frozen=True)
class Command:
    """A module with its arguments, which is killed after `seconds`."""

    program: Sequence[str]
    directory: Path
    environment: Mapping[str, str]
    seconds: float
    stdin: str = ""

    def run(self) -> Ended:
        """Run it to its end.

        Raises:
            TimeoutError: it was killed.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            return Ended(self._run(out, err), _text(out), _text(err))

    def show(self) -> Shown:
        """Run it to its end, with its errors where its output goes.

        Raises:
            TimeoutError: it was killed.
        """
        with tempfile.TemporaryFile() as both:
            return Shown(self._run(both, both), _text(both))

    def _run(self, out: IO[bytes], err: IO[bytes]) -> int:
        with tempfile.TemporaryFile() as given:
            given.write(self.stdin.encode())
            given.seek(0)
            forked = start(self.program, self.directory, self.environment, [given, out, err])
        try:
            return forked.wait(self.seconds)
        except TimeoutError:
            forked.kill()
            if forked.wait() == -signal.SIGKILL:
                raise
            # It has ended by itself in that moment.
            return forked.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class _Nursery:
    """The process that has imported everything, and the socket on which it is told what to run."""

    def __init__(self) -> None:
        self.asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = f"from tests.support import preloaded; preloaded.serve({theirs.fileno()})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                cwd=_ROOT,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # Ctrl-C is for the tests, which end it.
                process_group=0,
            )
        atexit.register(self._close)

    def _close(self) -> None:
        self.asking.close()
        self._process.wait()


@cache
def _nursery() -> _Nursery:
    return _Nursery()


def serve(descriptor: int) -> None:
    """Fork a program for each task, and tell how it ended, until nobody asks any more."""
    _load()
    running: dict[int, socket.socket] = {}
    woken, waking = socket.socketpair()
    waking.settimeout(0)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
    with socket.socket(fileno=descriptor) as asking, woken, waking:
        while True:
            ready, _, _ = select.select([asking, woken], [], [])
            if woken in ready:
                woken.recv(_SIZE)
                _tell(running)
            if asking in ready:
                told, descriptors, *_ = socket.recv_fds(asking, _SIZE, _STREAMS + 1)
                if not told:
                    return
                *streams, telling = descriptors
                pid = os.fork()
                if not pid:
                    _become(json.loads(told), streams)
                # Whoever is told of it may send something to its group at once.
                with suppress(OSError):
                    os.setpgid(pid, pid)
                for stream in streams:
                    os.close(stream)
                running[pid] = socket.socket(fileno=telling)
                running[pid].send(str(pid).encode())


def _load() -> None:
    """Import all that programs do, and leave it out of what their collectors look through."""
    for name in COMMANDS:
        load_command(name)
    for name in _LOADED_LATE:
        import_module(name)
    for service in ("dynamodb", "dynamodbstreams"):
        aws_session().create_client(service, "eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106 - none
    gc.collect()
    gc.freeze()


def _tell(running: dict[int, socket.socket]) -> None:
    """Tell of each program that has ended how it did."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with running.pop(pid) as telling, suppress(OSError):
            telling.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(task: Mapping[str, Any], streams: list[int]) -> NoReturn:
    """Be the program that the task names, and end as it does."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Those that were there know what they were opened on: whether it is a terminal, whether it can seek.
    sys.stdin, sys.stdout = (os.fdopen(each, mode, encoding="utf-8", closefd=False) for each, mode in enumerate("rw"))
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["directory"])
    # As `python -m` has it.
    sys.path[0] = task["directory"]
    module, *sys.argv[1:] = task["program"]
    code: object = None
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        code = leaving.code
    # As the interpreter does when it ends.
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    # Those that were there may have been kept by what was imported while they were.
    for kept in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if kept is not None:
            kept.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))  # the rest is of the one it was forked from
