"""A history as a process writes it down, line by line, so that what it knew is there when it is killed.

A write has a line when it begins and one when it ends; where the second is missing, nobody knows what has become of it.
A read has one line, when it has ended.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import count
from math import inf
from typing import IO, TYPE_CHECKING, Any

from tests.support.history import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.history import Outcome


class Recorder:
    """Writes down what the sessions of one process do.

    Args:
        file: where to, unbuffered: a line that was written is there whatever becomes of the process.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._numbers = count()

    def begun(self, session: str, key: str, value: str | None, replaces: str | None) -> int:
        """A write begins, of `None` where it is a delete; returns its number."""
        number = next(self._numbers)
        self._write(n=number, session=session, key=key, begin=time.monotonic(), value=value, replaces=replaces)
        return number

    def ended(self, number: int, outcome: Outcome) -> None:
        """A write has ended."""
        self._write(n=number, end=time.monotonic(), outcome=outcome)

    def read(self, session: str, key: str, begin: float, value: str | None) -> None:
        """A read that began at this moment has found a value."""
        self._write(session=session, key=key, begin=begin, end=time.monotonic(), value=value)

    def _write(self, **line: Any) -> None:  # noqa: ANN401 - of JSON
        self._file.write(json.dumps(line).encode() + b"\n")


def recorded(path: Path, bound: Callable[[float, float], float]) -> Iterator[Operation]:
    """Yield the operations of a file.

    Args:
        path: the file.
        bound: by how many seconds a read with this begin and end may be behind.
    """
    writes: dict[int, Operation] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        told = json.loads(line)
        number, end, outcome = told.pop("n", None), told.pop("end", inf), told.pop("outcome", "unknown")
        if number is None:
            told |= {"kind": "read", "end": end, "bound": bound(told["begin"], end), "own": True}
            yield Operation(**told)
        elif number not in writes:
            writes[number] = Operation(kind="delete" if told["value"] is None else "write", outcome="unknown", **told)
        else:
            begun = writes.pop(number)
            # Nobody knows when one without an answer is over.
            yield begun if outcome == "unknown" else replace(begun, end=end, outcome=outcome)
    yield from writes.values()
