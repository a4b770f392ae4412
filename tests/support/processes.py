"""The processes that a command consists of: it is started as leader of a group, which all of its children join."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORKERS = "migrator.engines.workers"
_PATIENCE_SECONDS = 20.0


class Process(NamedTuple):
    """A living process, who started it, its group, and the words of its command line."""

    pid: int
    parent: int
    group: int
    command: str


def members(group: int) -> list[Process]:
    """The living processes of a group; one that has ended and is not yet reaped is not among them."""
    return [process for process in _living() if process.group == group]


def _living() -> list[Process]:
    return list(_of_proc()) if sys.platform == "linux" else list(_of_ps())


def _of_proc() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # pid (name) state parent group ...; the name may hold anything, parentheses too.
            state, parent, group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if state not in {"Z", "X"}:
            yield Process(int(entry.name), int(parent), int(group), command)


def _of_ps() -> Iterator[Process]:
    shown = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,ppid=,pgid=,state=,command="], check=True, capture_output=True, text=True
    )
    for line in shown.stdout.splitlines():
        pid, parent, group, state, command = line.split(maxsplit=4)
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), int(group), command)


def workers(group: int) -> list[int]:
    """The worker processes of a command, and the one that they are forked from, whose command line is theirs."""
    return [process.pid for process in members(group) if _WORKERS in process.command]


def crew(parent: int) -> tuple[list[int], list[int]]:
    """What a process has started to fork workers from, and the workers that were forked from it."""
    processes = [process for process in _living() if _WORKERS in process.command]
    started = [process.pid for process in processes if process.parent == parent]
    return started, [process.pid for process in processes if process.parent in started]


def gone(group: int) -> bool:
    """Wait until no process of the group lives; return whether that came about."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while members(group):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def end(group: int) -> None:
    """Kill whatever is left of a group."""
    for process in members(group):
        os.kill(process.pid, 9)
