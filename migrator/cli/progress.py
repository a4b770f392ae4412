"""How far long work is: rate and remaining time on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import rich_click as click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from migrator.postgres.checkpoints import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.progress import Task, TaskID

    from migrator.engines import relay, reverse
    from migrator.engines.copy import Path, Settled
    from migrator.engines.verify import Read, Repaired
    from migrator.errors import MigratorError
    from migrator.postgres.pending import Backlog

SECONDS_BETWEEN_LINES: Final = 5.0
ENDED_SECONDS: Final = 60.0
"""What was not heard for so long, though relays look every two seconds, is not so any more."""


@contextmanager
def copy_progress() -> Iterator[CopyProgress]:
    """Show on stderr how far a copy is, while the block runs."""
    with _display(BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()) as shown:
        yield CopyProgress(shown)


@contextmanager
def verify_progress() -> Iterator[VerifyProgress]:
    """Show on stderr how far a verification is, while the block runs."""
    with _display(SpinnerColumn()) as shown:
        yield VerifyProgress(shown)


@contextmanager
def repair_progress(suspects: int) -> Iterator[RepairProgress]:
    """Show on stderr how far a repair of so many keys is, while the block runs."""
    with _display(BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as shown:
        yield RepairProgress(shown, suspects)


@contextmanager
def relay_progress(marks_bytes: int) -> Iterator[RelayProgress]:
    """Show on stderr what relays do, while the block runs, and that waiting changes take more than so many bytes."""
    with _display(SpinnerColumn()) as shown:
        yield RelayProgress(shown, marks_bytes)


@contextmanager
def _display(*columns: ProgressColumn) -> Iterator[Progress | None]:
    """A display on stderr where that is a terminal; otherwise None."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Progress(TextColumn("{task.description}"), *columns, console=console) as display:
        yield display


class _Rate(ProgressColumn):
    """Rows per second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


class _Lines:
    """Plain lines, one now and then."""

    def __init__(self) -> None:
        self._due = time.monotonic() + SECONDS_BETWEEN_LINES

    def offer(self, line: str) -> None:
        """Print a line if it is time for one."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + SECONDS_BETWEEN_LINES
            click.echo(line, err=True)


class _Warnings:
    """What an operator should see to, without repeating it. It holds when each sentence was heard last."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}

    def once(self, sentence: str) -> None:
        """Something that happens: told the first time."""
        if sentence not in self._heard:
            self.lasting(sentence)

    def lasting(self, sentence: str) -> None:
        """Something that is heard at every look as long as it is so: told when it begins, and when it begins again."""
        heard = self._heard.get(sentence)
        if heard is None or time.monotonic() - heard >= ENDED_SECONDS:
            click.echo(f"warning: {sentence}", err=True)
        self._heard[sentence] = time.monotonic()


class CopyProgress:
    """A listener of the copy engine. It holds how many rows each table has, and how many are settled."""

    def __init__(self, display: Progress | None) -> None:
        self._display = display
        self._lines = _Lines()
        self._tasks: dict[str, TaskID] = {}
        self._total = 0
        self._done = 0
        self._began = time.monotonic()
        self._before = 0

    def began(self, estimates: Mapping[str, int], settled: Mapping[str, Counts]) -> None:
        """The copy begins, with what an earlier run has settled."""
        self._began = time.monotonic()
        self._total = sum(max(rows, settled.get(source, Counts()).rows) for source, rows in estimates.items())
        self._before = self._done = sum(counts.rows for counts in settled.values())
        if self._display is None:
            return
        for source, rows in estimates.items():
            done = settled.get(source, Counts()).rows
            if done < rows:
                self._tasks[source] = self._display.add_task(source, total=rows, completed=done)

    def chosen(self, paths: Mapping[str, Path]) -> None:
        """The tables are copied on these paths."""
        for path, words in (
            ("turbo", "with all speed, over whatever is there"),
            ("live", "beside the relay, and only where nothing is"),
        ):
            tables = [source for source, each in paths.items() if each == path]
            if tables:
                which = "all tables" if len(tables) == len(paths) else ", ".join(tables)
                click.echo(f"{path}: {which} {words}", err=True)

    def settled(self, page: Settled) -> None:
        """A page of a table is in the target."""
        self._done += page.counts.rows
        # An estimate may be too low, and rows may be added meanwhile.
        self._total = max(self._total, self._done)
        if self._display is None:
            self._lines.offer(f"copied {self._done:,} of about {self._total:,} rows{self._pace()}")
            return
        task = self._tasks.get(page.source)
        if task is not None:
            self._display.advance(task, page.counts.rows)

    def _pace(self) -> str:
        """The rate of this run, and the time that is left at it."""
        rate = (self._done - self._before) / max(time.monotonic() - self._began, 0.001)
        left = (self._total - self._done) / rate if rate else 0
        return f", {rate:,.0f} rows/s, about {left:,.0f} s left"

    def warned(self, sentence: str) -> None:
        """Something that the operator should know."""
        click.echo(f"warning: {sentence}", err=True)


class RelayProgress:
    """A listener of relays, of which there is one for each model. It holds what was said already."""

    def __init__(self, display: Progress | None, marks_bytes: int) -> None:
        self._display = display
        self._marks_bytes = marks_bytes
        self._lines = _Lines()
        self._task = None if display is None else display.add_task("relaying", total=None)
        self._warnings = _Warnings()
        self._began = time.monotonic()
        self.back = ReverseProgress(display)

    def progressed(self, outcome: relay.Outcome) -> None:
        """A batch was settled; `looked` tells of it, with what is left."""

    def looked(self, outcome: relay.Outcome, backlog: Backlog) -> None:
        """So much was done, and so much waits."""
        alarm = backlog.alarm(self._marks_bytes)
        if alarm is not None:
            self._warnings.lasting(alarm)
        rate = outcome.settled / max(time.monotonic() - self._began, 0.001)
        line = (
            f"settled {outcome.settled:,} ({rate:,.0f}/s), waiting {backlog.waiting:,}, lag {backlog.lag:,.0f} s, "
            f"set aside {backlog.set_aside:,}"
        )
        if self._display is None or self._task is None:
            self._lines.offer(line)
        else:
            self._display.update(self._task, description=line)

    def set_aside(self, source: str, reason: str) -> None:
        """A mark cannot be reconciled; told once for a reason, however many marks it has."""
        self._warnings.once(f"set aside: {source}: {reason}")

    def warned(self, sentence: str) -> None:
        """Something to see to; told when it begins."""
        self._warnings.lasting(sentence)

    def refused(self, error: MigratorError) -> None:
        """A table is not followed any more."""
        click.echo(f"warning: {error.what}. {error.safe} {error.next_step}", err=True)

    def taken_up(self, source: str) -> None:
        """A table is followed again."""
        click.echo(f"done: {source} fits again, and its changes are carried over", err=True)

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed, and is tried again."""
        click.echo(f"warning: {error.what}; trying again in {pause:,.1f} s", err=True)


class ReverseProgress:
    """A listener of what relays carry back, of which there is one for each model. It holds what was said already."""

    def __init__(self, display: Progress | None) -> None:
        self._display = display
        self._lines = _Lines()
        self._task: TaskID | None = None
        self._warnings = _Warnings()

    def progressed(self, outcome: reverse.Outcome) -> None:
        """Some changes were carried back; `looked` tells of it, with what is left."""

    def looked(self, outcome: reverse.Outcome) -> None:
        """So much was done, and so much is left."""
        line = (
            f"carried back: {outcome.applied:,} rows written, {outcome.deleted:,} deleted, lag {outcome.lag:,.0f} s, "
            f"refused {outcome.aside:,}"
        )
        if self._display is None:
            self._lines.offer(line)
        elif self._task is None:
            self._task = self._display.add_task(line, total=None)
        else:
            self._display.update(self._task, description=line)

    def refused(self, entity: str, reason: str) -> None:
        """The source does not take a change back; told once for a reason, however many changes it has."""
        self._warnings.once(f"refused: {entity}: {reason}")

    def warned(self, sentence: str) -> None:
        """Something to see to; told when it begins."""
        self._warnings.lasting(sentence)

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed, and is tried again."""
        click.echo(f"warning: {error.what}; trying again in {pause:,.1f} s", err=True)


class VerifyProgress:
    """A listener of the verify engine."""

    def __init__(self, display: Progress | None) -> None:
        self._display = display
        self._lines = _Lines()
        self._task = None if display is None else display.add_task("reading", total=None)

    def __call__(self, at: Read) -> None:
        """The passes have come this far."""
        line = f"read {at.rows:,} rows and {at.items:,} items"
        if self._display is None or self._task is None:
            self._lines.offer(line)
        else:
            self._display.update(self._task, description=line)


class RepairProgress:
    """A listener of a repair. It holds how many keys there are to look at."""

    def __init__(self, display: Progress | None, suspects: int) -> None:
        self._display = display
        self._lines = _Lines()
        self._suspects = suspects
        self._task = None if display is None else display.add_task("repairing", total=suspects)

    def __call__(self, done: Repaired) -> None:
        """So much is done."""
        if self._display is None or self._task is None:
            self._lines.offer(f"repaired {done.examined:,} of {self._suspects:,} keys, {done.written:,} items written")
        else:
            self._display.update(self._task, completed=done.examined)
