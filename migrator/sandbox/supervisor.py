"""Keeps one server alive exactly as long as the process that ordered it. Run as a program by `migrator.sandbox.server`.

It reads its order, one line of JSON, from standard input, which then stays open as a lifeline: end of file there means
that the starter has closed it or is gone, `kill -9` included, since then the kernel closes it. The server is ended and
its directory removed. The answer is one line of JSON (a `Report`) on standard output.

Only the standard library is used: the program starts in milliseconds, wherever the project lies.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG = "server.log"
_POLL_SECONDS = 0.01
_STOP_SECONDS = 10.0
_LOG_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Order:
    """What to run."""

    directory: str
    """Working directory of all commands and place of the log; removed at the end."""
    preparation: list[list[str]]
    """Commands that run to their end before the server is started, such as `initdb`."""
    command: list[str]
    environment: dict[str, str]
    ready_text: str
    """The server is ready when its output holds this."""
    stop_signal: int
    deadline_seconds: float
    user: str | None
    """The operating system's user to run as; only root may choose one."""


@dataclass(frozen=True)
class Report:
    """The answer: `failure` is None where the server is ready, else what happened instead."""

    failure: str | None = None
    log_tail: str = ""


class _NotStartedError(Exception):
    """The server, or its preparation, ended early or took too long."""


class _StarterGoneError(Exception):
    """The lifeline was closed before the server was ready."""


def main() -> None:
    """Serve one order, from the first line of standard input to its end of file."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    line = sys.stdin.buffer.readline()
    if not line:
        return
    order = Order(**json.loads(line))
    log = Path(order.directory, LOG)
    try:
        _serve(order, log)
    except (_NotStartedError, OSError) as error:
        _answer(Report(str(error), _tail(log)))
    except _StarterGoneError:
        return
    finally:
        shutil.rmtree(order.directory, ignore_errors=True)


def _serve(order: Order, log: Path) -> None:
    deadline = time.monotonic() + order.deadline_seconds
    if order.user is not None:
        shutil.chown(order.directory, order.user, pwd.getpwnam(order.user).pw_gid)
    for command in order.preparation:
        with _running(order, command, log) as (process, _):
            _wait(process, command, deadline, lambda code: code == 0)
    with _running(order, order.command, log) as (process, ended):
        _wait(process, order.command, deadline, lambda _: order.ready_text.encode() in log.read_bytes())
        _answer(Report())
        select.select([sys.stdin, ended], [], [])


@contextmanager
def _running(order: Order, command: list[str], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start `command`; yield its process and a pipe that reads end of file once it and all its children are gone."""
    ended, held = os.pipe()
    try:
        with log.open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - the order comes from this package
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=order.directory,
                env=order.environment,
                user=order.user,
                group=None if order.user is None else pwd.getpwnam(order.user).pw_gid,
                extra_groups=None if order.user is None else [],
                start_new_session=True,
                pass_fds=(held,),
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this program has no threads
            )
    except OSError:
        os.close(ended)
        raise
    finally:
        os.close(held)
    try:
        yield process, ended
    finally:
        _stop(process, ended, order.stop_signal)
        os.close(ended)


def _wait(
    process: subprocess.Popen[bytes], command: list[str], deadline: float, done: Callable[[int | None], bool]
) -> None:
    program = Path(command[0]).name
    while not done(code := process.poll()):
        if code is not None:
            raise _NotStartedError(f"{program} ended with code {code}")
        if time.monotonic() > deadline:
            raise _NotStartedError(f"{program} was not ready in time")
        if select.select([sys.stdin], [], [], _POLL_SECONDS)[0]:
            raise _StarterGoneError


def _stop(process: subprocess.Popen[bytes], ended: int, stop_signal: int) -> None:
    if process.poll() is None:
        process.send_signal(stop_signal)
    if not select.select([ended], [], [], _STOP_SECONDS)[0]:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _die_with_parent() -> None:
    """Have Linux end the server even where this supervisor itself is killed; macOS has no such call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(report: Report) -> None:
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(asdict(report)) + "\n")
        sys.stdout.flush()


def _tail(log: Path) -> str:
    if not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:])


if __name__ == "__main__":
    main()
