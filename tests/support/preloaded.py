"""`migrate` as a process that has nothing to import any more: forked from one that has imported it all.

A command spends most of its time on imports, and the tests run hundreds. It has its own memory, environment, directory,
standard streams and exit code, as one that a shell starts; only how it is started is another way.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NoReturn

from migrator.cli import main
from migrator.cli.group import COMMANDS, load_command
from migrator.dynamodb.session import aws_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

_ROOT: Final = Path(__file__).parents[2]
# What commands import when they need it, or have others import.
_LOADED_LATE: Final = ("boto3.session", "botocore.endpoint", "sqlalchemy.dialects.postgresql.asyncpg")
_SIZE: Final = 1 << 20


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
    """What `migrate` is given. After `seconds` it is killed."""

    arguments: Sequence[str]
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
        task = {
            "arguments": list(self.arguments),
            "directory": str(self.directory),
            "environment": dict(self.environment),
        }
        with tempfile.TemporaryFile() as given:
            given.write(self.stdin.encode())
            given.seek(0)
            return _nursery().run(task, [given.fileno(), out.fileno(), err.fileno()], self.seconds)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


class _Nursery:
    """The process that has imported everything, and the socket on which it is told what to run."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        self._asking = Lock()
        atexit.register(self._close)

    def run(self, task: Mapping[str, object], streams: list[int], seconds: float) -> int:
        with self._asking:
            socket.send_fds(self._ours, [json.dumps(task).encode()], streams)
            pid = int(self._ours.recv(64))
            self._ours.settimeout(seconds)
            try:
                return int(self._ours.recv(64))
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self._ours.settimeout(None)
                code = int(self._ours.recv(64))
                if code == -signal.SIGKILL:
                    raise
                # It has ended by itself in that moment.
                return code
            finally:
                self._ours.settimeout(None)

    def _close(self) -> None:
        self._ours.close()
        self._process.wait()


@cache
def _nursery() -> _Nursery:
    return _Nursery()


def serve(descriptor: int) -> None:
    """Fork a command for each task, until nobody asks any more."""
    for name in COMMANDS:
        load_command(name)
    for name in _LOADED_LATE:
        import_module(name)
    for service in ("dynamodb", "dynamodbstreams"):
        aws_session().create_client(service, "eu-west-1", aws_access_key_id="none", aws_secret_access_key="none")  # noqa: S106 - none
    with socket.socket(fileno=descriptor) as asking:
        while True:
            try:
                told, streams, *_ = socket.recv_fds(asking, _SIZE, 3)
            except ConnectionResetError:
                # The tests were ended while a command ran, whose end nobody has asked for.
                return
            if not told:
                return
            pid = os.fork()
            if not pid:
                asking.close()
                _become(json.loads(told), streams)
            for stream in streams:
                os.close(stream)
            asking.send(str(pid).encode())
            asking.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(task: Mapping[str, Any], streams: list[int]) -> NoReturn:
    """Be the command that the task names, and end as it does."""
    os.setpgid(0, 0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["directory"])
    # As `python -m` has it.
    sys.path[0] = task["directory"]
    sys.argv[:] = ["migrate", *task["arguments"]]
    try:
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    atexit._run_exitfuncs()  # noqa: SLF001 - as the interpreter does when it ends
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the rest of this process is of the one that it was forked from
