"""Lines of key and digest from both sides, spread over partitions on disk, and joined one partition at a time.

Each process that reads writes files of its own. Its memory holds one write buffer per partition and side; that of the
join the lines of one partition, which is divided further where there are more of them than was expected. The rest is on
disk, in a directory that goes when the verification ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

Side: TypeAlias = Literal["source", "target"]
SIDES: Final[tuple[Side, Side]] = ("source", "target")
_LINES_PER_PARTITION: Final = 50_000
_MAX_PARTITIONS: Final = 512
_DIVISOR: Final = 16
_HASHES: Final = 2**64
_JOINED_BYTES: Final = 24 * 2**20
"""Of both sides' lines that are joined at once; as Python's objects they take about three times as much."""
_BUFFERS_BYTES: Final = 8 * 2**20
_LARGEST_BUFFER: Final = 64 * 1024
_LEAST_BUFFER: Final = 4 * 1024
BYTES_PER_LINE: Final = 128
"""About what one item takes on each side: its key, 32 digits of digest, and separators."""


@dataclass(frozen=True)
class Mismatch:
    """A key that the two sides do not hold alike: the digests of each side, none where the key is not there."""

    key: bytes
    source: tuple[bytes, ...]
    target: tuple[bytes, ...]


@dataclass(frozen=True)
class Partitions:
    """Where lines are spilled: a directory, and over how many partitions they are spread by the hash of their keys."""

    directory: Path
    count: int

    def files(self, number: int) -> dict[Side, list[Path]]:
        """The files of a partition, by side."""
        return {side: sorted(self.directory.glob(f"{side}-{number}-*")) for side in SIDES}


class Spiller:
    """Spills the lines that one process finds.

    Args:
        to: where they go.
        share: of the memory that a process may use for its buffers.
        label: ends the names of its files, which are no other's; the process's id where none is given.

    `lengths` are the bytes that it has written, by name of the file.
    """

    def __init__(self, to: Partitions, share: float = 1.0, label: str | None = None) -> None:
        self.lengths: dict[str, int] = defaultdict(int)
        self._to = to
        self._label = str(os.getpid()) if label is None else label
        most = int(_BUFFERS_BYTES * share / (len(SIDES) * to.count))
        self._buffer_bytes = max(_LEAST_BUFFER, min(_LARGEST_BUFFER, most))
        self._buffers: dict[Side, list[bytearray]] = {side: [bytearray() for _ in range(to.count)] for side in SIDES}

    def add(self, side: Side, statements: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Takes items of a side: the line of each one's key, and its testimony (None equals no other)."""
        buffers, count = self._buffers[side], self._to.count
        for key, testimony in statements:
            number = xxh3_64_intdigest(key) % count
            buffer = buffers[number]
            buffer += b"%b\t%b\n" % (key, xxh3_128_hexdigest(testimony or b"").encode())
            if len(buffer) >= self._buffer_bytes:
                self._flush(side, number)

    def sort(self, side: Side, file: Path, divided: int) -> None:
        """Takes the lines of a file, in which all keys have hashes that are the same modulo `divided`."""
        with explained(self._to.directory), file.open("rb") as lines:
            for line in lines:
                number = xxh3_64_intdigest(line.partition(b"\t")[0]) // divided % self._to.count
                buffer = self._buffers[side][number]
                buffer += line
                if len(buffer) >= self._buffer_bytes:
                    self._flush(side, number)

    def flush(self) -> None:
        """Writes what is still in memory."""
        for side, buffers in self._buffers.items():
            for number, buffer in enumerate(buffers):
                if buffer:
                    self._flush(side, number)

    def _flush(self, side: Side, number: int) -> None:
        buffer = self._buffers[side][number]
        path = self._to.directory / f"{side}-{number}-{self._label}"
        with explained(self._to.directory), path.open("ab") as file:
            file.write(buffer)
        self.lengths[path.name] += len(buffer)
        buffer.clear()


def partitions_for(expected: int) -> int:
    """Over how many partitions the lines of about so many items are spread."""
    return max(1, min(_MAX_PARTITIONS, expected // _LINES_PER_PARTITION + 1))


class Spill:
    """The lines of both sides, on disk while the block runs.

    Args:
        expected: about how many items there are, for the number of partitions.
        directory: where the temporary directory is made; None for the system's own.
        kept: where the lines are instead, which stay there: an earlier run may have written some of them.
    """

    def __init__(self, expected: int, directory: Path | None = None, *, kept: Partitions | None = None) -> None:
        self._count = partitions_for(expected) if kept is None else kept.count
        self._parent = directory
        self._kept = kept
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._kept is not None:
            self.partitions = self._kept
            return self
        with explained(self._parent or Path(tempfile.gettempdir())):
            directory = Path(tempfile.mkdtemp(prefix="migrate-verify-", dir=self._parent))
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        self.partitions = Partitions(directory, self._count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def bytes_on_disk(self) -> int:
        """What has been spilled."""
        return sum(file.stat().st_size for file in self.partitions.directory.iterdir())

    def mismatches(self) -> Iterator[Mismatch]:
        """The keys on which the sides differ, or which one side holds twice."""
        for number in range(self._count):
            yield from self._joined(self.partitions.files(number), self._count)

    def _joined(self, files: Mapping[Side, Sequence[Path]], divided: int) -> Iterator[Mismatch]:
        """Joins files whose keys have hashes that are the same modulo `divided`."""
        size = sum(file.stat().st_size for each in files.values() for file in each)
        if size > _JOINED_BYTES and divided < _HASHES:
            for part in self._divided(files, divided):
                yield from self._joined(part, divided * _DIVISOR)
                for file in (file for each in part.values() for file in each):
                    file.unlink()
            return
        lines = {side: self._lines(files[side]) for side in SIDES}
        unlike = {side: _only(lines[side], lines[other]) for side, other in zip(SIDES, SIDES[::-1], strict=True)}
        del lines
        for key in dict.fromkeys([*unlike["source"], *unlike["target"]]):
            yield Mismatch(key, tuple(unlike["source"].get(key, ())), tuple(unlike["target"].get(key, ())))

    def _divided(self, files: Mapping[Side, Sequence[Path]], divided: int) -> Iterator[dict[Side, list[Path]]]:
        """The same lines in smaller partitions."""
        with explained(self.partitions.directory):
            parts = Partitions(Path(tempfile.mkdtemp(dir=self.partitions.directory)), _DIVISOR)
        spiller = Spiller(parts)
        for side, each in files.items():
            for file in each:
                spiller.sort(side, file, divided)
        spiller.flush()
        for number in range(_DIVISOR):
            yield parts.files(number)
        parts.directory.rmdir()

    def _lines(self, files: Sequence[Path]) -> list[bytes]:
        lines: list[bytes] = []
        for file in files:
            with explained(self.partitions.directory):
                lines += file.read_bytes().splitlines()
        return lines


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Says what to do where the temporary files cannot be written."""
    try:
        yield
    except OSError as error:
        raise MigratorError(
            f"verify cannot write its temporary files in {place}: {error.strerror or error}",
            safe="Nothing was changed in either store.",
            next_step=f"Free some space (about {2 * BYTES_PER_LINE} bytes per item are needed), or set "
            "MIGRATOR_WORK_DIR and TMPDIR to a directory that has it, then run the command again.",
        ) from error


def _only(lines: list[bytes], others: list[bytes]) -> dict[bytes, list[bytes]]:
    """By key, the digests of lines that the other side does not have, or that stand here twice."""
    distinct = set(lines)
    only = distinct.difference(others)
    if len(distinct) != len(lines):
        seen: set[bytes] = set()
        only |= {line for line in lines if line in seen or seen.add(line)}  # type: ignore[func-returns-value]
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for line in only:
        key, _, digest = line.partition(b"\t")
        found[key].append(digest)
    return found
