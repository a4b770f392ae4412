"""The file that a page goes to: looked at before the work begins, and replaced as a whole."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.errors import MigratorError, UsageError

_READABLE: Final = 0o666


@dataclass(frozen=True)
class PageFile:
    """A file that can be written, as far as trying tells."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> PageFile:
        """The file of this path, which need not be there yet.

        Raises:
            UsageError: it cannot be written.
        """
        next_step = "Name a file in a directory that is there and may be written to."
        if path.is_dir():
            raise UsageError(f"{path} is a directory, not a file", safe="Nothing was done.", next_step=next_step)
        try:
            # The directory, not the file: it is what a file is replaced in.
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            os.close(handle)
            Path(name).unlink()
        except OSError as error:
            raise UsageError(
                f"the report cannot be written to {path}: {error.strerror or error}",
                safe="Nothing was done.",
                next_step=next_step,
            ) from error
        return cls(path)

    def write(self, text: str) -> None:
        """Replaces the file: whoever reads it sees the old one or the new one.

        Raises:
            MigratorError: it cannot be written any more.
        """
        try:
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            try:
                with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).chmod(self._mode())
                Path(name).replace(self.path)
            except BaseException:
                with suppress(OSError):
                    Path(name).unlink()
                raise
        except OSError as error:
            raise MigratorError(
                f"the report was not written to {self.path}: {error.strerror or error}",
                safe="The verification itself is done, and on record.",
                next_step="Make room or name another file, and run the command again.",
            ) from error

    def _mode(self) -> int:
        """The permissions that a new file would have, or that the present one has."""
        with suppress(OSError):
            return self.path.stat().st_mode & 0o777
        mask = os.umask(0)
        os.umask(mask)
        return _READABLE & ~mask
