"""One embedded server process, tied to the process that started it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from weakref import WeakSet

from migrator.errors import ConfigurationError
from migrator.sandbox import supervisor
from migrator.sandbox.environment import scrub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.sandbox.supervisor import Order

# The address of a Unix socket has room for 104 bytes on macOS and 108 on Linux; this leaves place for its name.
_LONGEST_DIRECTORY = 80


class ServerFailedError(Exception):
    """The server did not become ready: what happened, and the last lines of its log."""


@contextmanager
def serving(order: Order) -> Iterator[None]:
    """Run a server until the block ends, or this process does.

    The order's directory is removed afterwards, whatever happens.

    Raises:
        ServerFailedError: the server did not become ready.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - this package's own program
            [sys.executable, "-I", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=scrub(os.environ),
            start_new_session=True,
        )
    except OSError:
        shutil.rmtree(order.directory)
        raise
    lifeline, answer = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    _lifelines.add(lifeline)
    try:
        with suppress(BrokenPipeError):
            lifeline.write(json.dumps(asdict(order)).encode() + b"\n")
            lifeline.flush()
        report = supervisor.Report(**json.loads(answer.readline() or b'{"failure": "its supervisor was killed"}'))
        if report.failure is not None:
            raise ServerFailedError(
                f"{report.failure}; its log ends:\n{report.log_tail}" if report.log_tail else report.failure
            )
        yield
    finally:
        answer.close()
        with suppress(BrokenPipeError):
            lifeline.close()
        process.wait()


def missing_extra(package: str) -> ConfigurationError:
    """Return the error for a store whose package is not installed."""
    return ConfigurationError(
        f"the embedded stores need the package {package}, which is not installed",
        next_step="run `pip install 'migrator[sandbox]'`, or in a checkout `uv sync --extra sandbox`",
    )


def new_directory(store: str) -> Path:
    """Make a temporary directory for one store, short enough to hold a Unix socket, readable by its owner only."""
    prefix = f"migrator-{store}-"
    parent = tempfile.gettempdir()
    if len(parent) + len(prefix) > _LONGEST_DIRECTORY:
        parent = "/tmp"  # noqa: S108 - only the parent: the directory made in it has a random name and mode 700
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def _let_go() -> None:
    """Close a forked child's copies of the lifelines: they would keep the servers of a killed parent alive."""
    for lifeline in _lifelines:
        lifeline.close()


_lifelines: WeakSet[IO[bytes]] = WeakSet()
os.register_at_fork(after_in_child=_let_go)
