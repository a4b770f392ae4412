"""Lines of key and digest from both sides, spread over partitions on disk, and joined one partition at a time.

Memory holds one write buffer per partition and side, and the lines of the partition being joined; the rest is on disk,
in a temporary directory that goes when the verification ends.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import xxhash

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

Side: TypeAlias = Literal["source", "target"]
SIDES: Final[tuple[Side, Side]] = ("source", "target")
_LINES_PER_PARTITION: Final = 50_000
_MAX_PARTITIONS: Final = 512
_BUFFER_BYTES: Final = 64 * 1024
BYTES_PER_LINE: Final = 128
"""About what one item takes on each side: its key, 32 digits of digest, and separators."""


@dataclass(frozen=True)
class Mismatch:
    """A key that the two sides do not hold alike: the digests of each side, none where the key is not there."""

    key: bytes
    source: tuple[bytes, ...]
    target: tuple[bytes, ...]


class Spill:
    """The lines of both sides.

    Args:
        expected: about how many items there are, for the number of partitions.
        directory: where the temporary directory is made; None for the system's own.
    """

    def __init__(self, expected: int, directory: Path | None = None) -> None:
        self._count = max(1, min(_MAX_PARTITIONS, expected // _LINES_PER_PARTITION + 1))
        self._parent = directory
        self._stack = ExitStack()
        self._buffers: dict[Side, list[bytearray]] = {side: [bytearray() for _ in range(self._count)] for side in SIDES}
        self.bytes_on_disk = 0

    def __enter__(self) -> Self:
        with self._explained():
            self._directory = Path(tempfile.mkdtemp(prefix="migrate-verify-", dir=self._parent))
        self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(self, side: Side, statements: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Takes items of a side: the line of each one's key, and its testimony (None equals no other)."""
        buffers, count = self._buffers[side], self._count
        for key, testimony in statements:
            number = xxhash.xxh3_64_intdigest(key) % count
            buffer = buffers[number]
            buffer += b"%b\t%b\n" % (key, xxhash.xxh3_128_hexdigest(testimony or b"").encode())
            if len(buffer) >= _BUFFER_BYTES:
                self._flush(side, number)

    def _flush(self, side: Side, number: int) -> None:
        buffer = self._buffers[side][number]
        with self._explained(), self._file(side, number).open("ab") as file:
            file.write(buffer)
        self.bytes_on_disk += len(buffer)
        buffer.clear()

    def _file(self, side: Side, number: int) -> Path:
        return self._directory / f"{side}-{number}"

    def mismatches(self) -> Iterator[Mismatch]:
        """The keys on which the sides differ, or which one side holds twice."""
        for number in range(self._count):
            lines = {side: self._lines(side, number) for side in SIDES}
            unlike = {side: _only(lines[side], lines[other]) for side, other in zip(SIDES, SIDES[::-1], strict=True)}
            for key in dict.fromkeys([*unlike["source"], *unlike["target"]]):
                yield Mismatch(key, tuple(unlike["source"].get(key, ())), tuple(unlike["target"].get(key, ())))

    def _lines(self, side: Side, number: int) -> list[bytes]:
        file = self._file(side, number)
        with self._explained():
            stored = file.read_bytes() if file.exists() else b""
            file.unlink(missing_ok=True)
        buffer = self._buffers[side][number]
        lines = (stored + bytes(buffer)).split(b"\n")
        buffer.clear()
        lines.pop()
        return lines

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = getattr(self, "_directory", self._parent or tempfile.gettempdir())
            raise MigratorError(
                f"verify cannot write its temporary files in {place}: {error.strerror or error}",
                safe="Nothing was changed in either store; the temporary files are removed.",
                next_step=f"Free some space (about {2 * BYTES_PER_LINE} bytes per item are needed), or set TMPDIR to a "
                "directory that has it, then run the command again.",
            ) from error


def _only(lines: list[bytes], others: list[bytes]) -> dict[bytes, list[bytes]]:
    """By key, the digests of lines that the other side does not have, or that stand here twice."""
    distinct = set(lines)
    only = distinct.difference(others)
    if len(distinct) != len(lines):
        seen: set[bytes] = set()
        only |= {line for line in lines if line in seen or seen.add(line)}  # type: ignore[func-returns-value]
    found: dict[bytes, list[bytes]] = {}
    for line in only:
        key, _, digest = line.partition(b"\t")
        found.setdefault(key, []).append(digest)
    return found
