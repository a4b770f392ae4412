"""A command that runs while a test goes on: what it prints, its end, and signals to it."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Self

from tests.support import preloaded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class Started:
    """A program, forked from one that has imported it all; used as a `subprocess.Popen` of text is.

    Args:
        program: a module and its arguments.
        directory: where it runs.
        environment: all of its environment.
        streams: its standard streams; of each `subprocess.PIPE` the other end is kept here.
    """

    def __init__(
        self,
        program: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        *,
        stdin: int | None = None,
        stdout: IO[str] | int = subprocess.PIPE,
        stderr: IO[str] | int = subprocess.PIPE,
    ) -> None:
        theirs: list[int] = []
        if stdin is None:
            stdin = os.open(os.devnull, os.O_RDONLY)
            theirs.append(stdin)
        streams: list[IO[str] | int] = [stdin]
        self._ends: list[IO[str] | None] = []
        for stream in (stdout, stderr):
            if stream == subprocess.PIPE:
                ours, end = os.pipe()
                theirs.append(end)
                streams.append(end)
                self._ends.append(os.fdopen(ours))
            else:
                streams.append(stream)
                self._ends.append(None)
        self._forked = preloaded.start(program, directory, environment, streams)
        for number in theirs:
            os.close(number)
        self.pid = self._forked.pid
        self.wait, self.poll = self._forked.wait, self._forked.poll
        self.send_signal, self.terminate = self._forked.send_signal, self._forked.terminate
        self.kill = self._forked.kill

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            if end is not None:
                end.close()
        self.wait()

    @property
    def stdout(self) -> IO[str]:
        """What it prints, where that goes into a pipe."""
        return self._piped(0)

    @property
    def stderr(self) -> IO[str]:
        """Its errors, where they go into a pipe."""
        return self._piped(1)

    def _piped(self, place: int) -> IO[str]:
        end = self._ends[place]
        assert end is not None
        return end

    @property
    def returncode(self) -> int | None:
        return self._forked.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read all that it prints until it ends; nothing of a stream that is no pipe.

        Raises:
            TimeoutError: it had not ended after so many seconds, and was killed.
        """
        with ThreadPoolExecutor() as readers:
            out, err = [readers.submit(_rest, end) for end in self._ends]
            try:
                self.wait(timeout)
            except TimeoutError:
                self.kill()
                raise
            return out.result(), err.result()


def _rest(end: IO[str] | None) -> str:
    if end is None:
        return ""
    with end:
        return end.read()
