"""A terminal at which somebody answers the questions of a command."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.project import Project

SECONDS = 60


def at_terminal(project: Project, answer: str, *arguments: str) -> tuple[int, str]:
    """Run `migrate` at a terminal, answer its question, and return its exit code and what was shown."""
    ours, theirs = os.openpty()
    terminal = project.through(TERM="xterm", COLUMNS="120", LINES="40", NO_COLOR="1")
    with terminal.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown, answered = b"", False
        while part := _read(ours):
            shown += part
            if b"[y/N]" in shown and not answered:
                os.write(ours, f"{answer}\n".encode())
                answered = True
        os.close(ours)
        try:
            code = process.wait(SECONDS)
        finally:
            process.kill()
    return code, shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """What is shown next; nothing once the command has ended, or shows nothing for long."""
    ready, _, _ = select.select([terminal], [], [], SECONDS)
    try:
        return os.read(terminal, 65536) if ready else b""
    except OSError:  # what Linux says once the other end is closed
        return b""
