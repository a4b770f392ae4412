"""How far one process is with its reading, kept in a file, so that another run can go on from there."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

import orjson
import xxhash

from migrator.engines.verify.findings import Difference, Report, Verdict
from migrator.engines.verify.reading.spill import explained

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from migrator.engines.verify.reading.spill import Spiller

PREFIX: Final = "progress-"
_SECONDS_BETWEEN: Final = 2.0
_SHARE: Final = 0.02
"""Of the time, at most, that saving may take."""
_COUNTED: Final = ("rows", "items", "past", "items_scanned", "read_units", "unjudged")


@dataclass(frozen=True)
class Keep:
    """Where the processes of a run keep how far they are; `run` is greater than that of any run before."""

    directory: Path
    run: int

    @property
    def label(self) -> str:
        """The label of this process, which no other one has or had: a later run may have the same process ids."""
        return f"{self.run:06}.{os.getpid()}"

    @property
    def file(self) -> Path:
        """Where this process keeps it; the files of later runs sort behind those of earlier ones."""
        return self.directory / f"{PREFIX}{self.label}"


@dataclass
class Settled:
    """What a process has read and spilled.

    Attributes:
        finished: tasks that are done.
        positions: by task that is not, after which key to go on.
        lengths: by table and name of each spilled file, how much of it belongs to that.
        report: what was counted and found.
    """

    finished: list[int] = field(default_factory=list)
    positions: dict[int, Any] = field(default_factory=dict)
    lengths: dict[str, dict[str, int]] = field(default_factory=dict)
    report: Report = field(default_factory=Report)

    def text(self) -> bytes:
        """As it is kept."""
        report: dict[str, Any] = {name: getattr(self.report, name) for name in _COUNTED}
        report["differences"] = [asdict(each) | {"verdict": each.verdict.value} for each in self.report.differences]
        positions = [[task, position] for task, position in self.positions.items()]
        return sealed({"finished": self.finished, "positions": positions, "lengths": self.lengths, "report": report})

    @classmethod
    def of(cls, text: bytes) -> Settled:
        """The same from `text`.

        Raises:
            ValueError: it is not what was written.
        """
        kept = unsealed(text)
        report = Report(**{name: kept["report"][name] for name in _COUNTED})
        report.differences = [_difference(each) for each in kept["report"]["differences"]]
        return cls(kept["finished"], dict(map(tuple, kept["positions"])), kept["lengths"], report)


class Progress:
    """Saves how far a process is: all at once, between two pages, so that what it says and what is spilled agree.

    Args:
        file: where to; None where nothing is to be kept.
        report: what the process counts and finds.
        spillers: what it spills, by table.
    """

    def __init__(self, file: Path | None, report: Report, spillers: Mapping[str, Spiller]) -> None:
        self._file = file
        self._spillers = spillers
        self._settled = Settled(report=report)
        self._due = time.monotonic() + _SECONDS_BETWEEN

    def moved(self, task: int, position: Any) -> None:  # noqa: ANN401 - a key of either store
        """A task has come so far; what was read up to there is with the spillers."""
        self._settled.positions[task] = position

    def finished(self, task: int) -> None:
        """A task is done."""
        self._settled.positions.pop(task, None)
        self._settled.finished.append(task)

    def save_if_due(self) -> None:
        """Saves now and then."""
        if self._file is not None and time.monotonic() >= self._due:
            began = time.monotonic()
            self.save()
            now = time.monotonic()
            self._due = now + max(_SECONDS_BETWEEN, (now - began) / _SHARE)

    def save(self) -> None:
        """Writes what is still in memory, and then that it is written.

        Raises:
            MigratorError: the files cannot be written.
        """
        for spiller in self._spillers.values():
            spiller.flush()
        if self._file is None:
            return
        self._settled.lengths = {table: dict(spiller.lengths) for table, spiller in self._spillers.items()}
        write(self._file, self._settled.text())


def write(file: Path, text: bytes) -> None:
    """Writes a file whole or not at all.

    Raises:
        MigratorError: it cannot be written.
    """
    beside = file.with_name(f".{file.name}")
    with explained(file.parent):
        beside.write_bytes(text)
        os.replace(beside, file)  # noqa: PTH105 - the same on every platform


def sealed(content: dict[str, Any]) -> bytes:
    """Content as text that tells whether it was damaged."""
    text = orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
    return b"%b\n%b\n" % (xxhash.xxh3_128_hexdigest(text).encode(), text)


def unsealed(text: bytes) -> dict[str, Any]:
    """The content of `sealed`.

    Raises:
        ValueError: the text was damaged.
    """
    digest, _, rest = text.partition(b"\n")
    content = rest.removesuffix(b"\n")
    if digest != xxhash.xxh3_128_hexdigest(content).encode():
        raise ValueError("the file was damaged")
    found: dict[str, Any] = orjson.loads(content)
    return found


def _difference(kept: dict[str, Any]) -> Difference:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in kept.items()
        if name in {each.name for each in fields(Difference)}
    }
    return Difference(**(values | {"verdict": Verdict(kept["verdict"])}))
