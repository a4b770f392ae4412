"""The processes of the story, each started as a user starts it, killed with `kill -9` and started again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from tests.support import preloaded, processes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
_PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Part:
    """A process that is started again whenever it ends: one of the story's four.

    Attributes:
        name: what the figures call it.
        command: a module and its arguments.
        again: more arguments, from the second time on after it has ended by itself.
        ends: the codes with which it may end by itself.
        kills: how often it was killed.
        starts: how often it was started.
        completed: how often it has ended by itself.
        turn: held by whoever starts it again.
    """

    name: str
    command: Sequence[str]
    again: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    ends: tuple[int, ...] = ()
    kills: int = 0
    starts: int = 0
    completed: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _process: preloaded.Forked | None = None
    _output: IO[bytes] = field(default_factory=TemporaryFile, repr=False)

    async def start(self, **more: str) -> None:
        """Starts it, with more variables in its environment."""
        program = [*self.command, *(self.again if self.completed else ())]
        environment = {**ambient(), **self.environment, **more}
        with TemporaryFile() as nothing:
            self._process = await asyncio.to_thread(
                preloaded.start, program, ROOT, environment, [nothing, self._output, self._output]
            )
        self.starts += 1

    async def kill(self) -> bool:
        """Kills it, wherever it is; returns whether it was alive."""
        assert self._process is not None
        alive = await self.check()
        if alive:
            self._process.send_signal(signal.SIGKILL)
            code = await asyncio.to_thread(self._process.wait)
            alive = code == -signal.SIGKILL
            assert await asyncio.to_thread(processes.gone, self._process.pid)
        self.kills += alive
        return alive

    async def check(self) -> bool:
        """Whether it runs.

        Raises:
            AssertionError: it has ended as it should not.
        """
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return True
        assert code in self.ends, f"{self.name} ended with {code}\n{self.text()}"
        return False

    async def end(self, *, ask: bool = True) -> None:
        """Asks it to end, or waits until it does; it has to end well."""
        assert self._process is not None
        if ask:
            self._process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self._process.wait, _PATIENCE_SECONDS)
        assert code == 0, f"{self.name} ended with {code}\n{self.text()}"

    def text(self) -> str:
        """The end of what it has printed, in all of its lives."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")[-4000:]

    def close(self) -> None:
        """Nothing of it is left."""
        if self._process is not None:
            processes.end(self._process.pid)
            self._process.wait()
        self._output.close()


def ambient() -> dict[str, str]:
    """This process's environment, without what has coverage measured: it slows what is to bear a load."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


async def finished(environment: Mapping[str, str], *arguments: str, expected: int = 0) -> str:
    """Run a module as a command to its end; returns what it has printed."""
    with TemporaryFile() as output, TemporaryFile() as nothing:
        process = await asyncio.to_thread(
            preloaded.start, arguments, ROOT, {**ambient(), **environment}, [nothing, output, output]
        )
        code = await asyncio.to_thread(process.wait)
        output.seek(0)
        text = output.read().decode(errors="replace")
    assert code == expected, f"{' '.join(arguments)} ended with {code}\n{text}"
    return text
