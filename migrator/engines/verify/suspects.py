"""The keys that differ, on disk: there may be as many as a table has items."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from migrator.engines.verify.reading.spill import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType


class Suspects:
    """Keys by their table, in temporary files that go when the block ends."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._count = 0

    def __enter__(self) -> Self:
        with explained(Path(tempfile.gettempdir())):
            self._directory = Path(tempfile.mkdtemp(prefix="migrate-repair-"))
        self._stack.callback(shutil.rmtree, self._directory, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def __len__(self) -> int:
        """How many there are."""
        return self._count

    def add(self, table: str, key: bytes) -> None:
        """Takes a key of a table, as a line without its end."""
        with explained(self._directory):
            file = self._files.get(table)
            if file is None:
                file = self._files[table] = self._stack.enter_context((self._directory / table).open("w+b"))
            file.write(key + b"\n")
        self._count += 1

    def batches(self, size: int) -> Iterator[tuple[str, list[bytes]]]:
        """The keys of each table, so many at a time."""
        for table, file in self._files.items():
            with explained(self._directory):
                file.seek(0)
            batch: list[bytes] = []
            for line in file:
                batch.append(line[:-1])
                if len(batch) == size:
                    yield table, batch
                    batch = []
            if batch:
                yield table, batch
