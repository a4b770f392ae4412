"""The processes that a command consists of: it is started as leader of a group, which all of its children join."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

_PATIENCE_SECONDS = 20.0


class Process(NamedTuple):
    """A living process, and the words of its command line."""

    pid: int
    command: str


def members(group: int) -> list[Process]:
    """The living processes of a group; one that has ended and is not yet reaped is not among them."""
    return list(_of_proc(group)) if sys.platform == "linux" else list(_of_ps(group))


def _of_proc(group: int) -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # pid (name) state parent group ...; the name may hold anything, parentheses too.
            state, _, its_group, *_ = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if int(its_group) == group and state not in {"Z", "X"}:
            found.append(Process(int(entry.name), command))
    return found


def _of_ps(group: int) -> list[Process]:
    shown = subprocess.run(
        ["/bin/ps", "-A", "-o", "pid=,pgid=,state=,command="], check=True, capture_output=True, text=True
    )
    lines = (line.split(maxsplit=3) for line in shown.stdout.splitlines())
    return [
        Process(int(pid), command)
        for pid, its_group, state, command in lines
        if int(its_group) == group and not state.startswith("Z")
    ]


def workers(group: int) -> list[int]:
    """The worker processes of a copy: what `multiprocessing` has started to work, not to keep books."""
    return [pid for pid, command in members(group) if "spawn_main" in command]


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
    for pid, _ in members(group):
        os.kill(pid, 9)
