"""Verification after verification, until a signal comes: `migrate verify --every`."""

from __future__ import annotations

import random
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import rich_click as click

from migrator.cli.duration import duration_text
from migrator.cli.watch import first_error
from migrator.errors import LockedError, MigratorError, SourceError, TargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

JITTER: Final = 0.1
_REST: Final = 0.1
_LEAST_REST_SECONDS: Final = 1.0


@dataclass
class Rounds:
    """Attempts, one after another, each begun about `every` after the one before; what became of them is counted.

    Attributes:
        every: from the beginning of one attempt to that of the next, give or take a tenth, so that several do not fall
            into step. One that takes longer is followed by a rest of a tenth of it.
        clean: attempts that found target and source equal.
        differing: those that found differences.
        failed: those that failed.
        skipped: those that were left out, since somebody else verified.
    """

    every: timedelta
    clean: int = 0
    differing: int = 0
    failed: int = 0
    skipped: int = 0

    def run(self, attempt: Callable[[], bool]) -> int:
        """Attempt for ever; SIGTERM ends it with 0, whatever is under way being recorded as interrupted.

        Raises:
            KeyboardInterrupt: Ctrl-C has ended it.
            MigratorError: the first attempt failed for a reason that waiting will not mend.
        """
        with _terminated() as terminated:
            try:
                while True:
                    began = time.monotonic()
                    self._round(attempt)
                    pause = self.pause(time.monotonic() - began, random.uniform(-JITTER, JITTER))  # noqa: S311 - no secret
                    click.echo(
                        f"{self.sentence()}; the next begins in {duration_text(timedelta(seconds=pause))}", err=True
                    )
                    time.sleep(pause)
            except (KeyboardInterrupt, MigratorError):
                if not terminated:
                    raise
        click.echo(f"{self.sentence()}; stopped", err=True)
        return 0

    def pause(self, taken: float, jitter: float) -> float:
        """Seconds to wait after an attempt that has taken so many; `jitter` is a part of the interval."""
        interval = self.every.total_seconds()
        return max(interval * (1 + jitter) - taken, interval * _REST, _LEAST_REST_SECONDS)

    def sentence(self) -> str:
        """What became of the attempts."""
        equal = f"{self.clean:,} equal, {self.differing:,} different"
        return f"verified: {equal}, {self.failed:,} failed, {self.skipped:,} skipped"

    def _round(self, attempt: Callable[[], bool]) -> None:
        first = not self.clean + self.differing + self.failed + self.skipped
        try:
            clean = attempt()
        except LockedError as error:
            self.skipped += 1
            click.echo(f"skipped: {error.what}", err=True)
        except MigratorError as error:
            self._failed(error, first=first)
        except ExceptionGroup as group:
            self._failed(first_error(group), first=first)
        else:
            self.clean += clean
            self.differing += not clean

    def _failed(self, error: MigratorError, *, first: bool) -> None:
        if first and not isinstance(error, SourceError | TargetError):
            raise error
        self.failed += 1
        click.echo(f"warning: {error.what}", err=True)


@contextmanager
def _terminated() -> Iterator[list[int]]:
    """Take SIGTERM for Ctrl-C while the block runs; the list says that it came."""
    came: list[int] = []

    def heed(received: int, _frame: FrameType | None) -> None:
        came.append(received)
        # Whatever runs knows how to be interrupted, and leaves nothing half-done.
        signal.raise_signal(signal.SIGINT)

    # A shell ignores Ctrl-C for what it starts in the background.
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, heed),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
    }
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
