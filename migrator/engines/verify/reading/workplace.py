"""Where a verification works on disk: what it set out to do, and how far it is, until it is done.

A directory for each model, pair of stores and scope holds the plan, the progress of each process, and what it spilled.
A verification that was killed leaves them, and the next one with the same scope goes on from there. That stays sound: a
key that has changed since its range was read is as one that changes after a verification, and every suspect is judged
by reading it anew. The verification counts from when it was begun first.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from migrator.engines.verify.findings import Report
from migrator.engines.verify.reading.progress import PREFIX, Keep, Settled, sealed, unsealed, write
from migrator.engines.verify.reading.spill import Partitions, explained
from migrator.engines.verify.reading.tasks import KeyRange, Segment, as_json, of_json
from migrator.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

OLDEST: Final = timedelta(hours=24)
"""What was begun earlier is begun anew: of what it has read too much may have changed."""
_PLAN: Final = "plan"
_LOCK: Final = "lock"
_LINES: Final = "lines"
_UNCHANGED: Final = "Nothing was changed in either store."


@dataclass(frozen=True)
class Plan:
    """What a verification reads, in parts, and under what it is valid.

    `partitions` are those of each table's lines; `basis` names what must be the same for whoever goes on.
    """

    basis: Mapping[str, str]
    started_at: datetime
    partitions: Mapping[str, int]
    tasks: Sequence[KeyRange | Segment]


@dataclass
class Left:
    """What is still to be read of a plan, what was read by the runs before, and where this one keeps how far it is."""

    tasks: list[KeyRange | Segment]
    report: Report = field(default_factory=Report)
    keep: Keep | None = None


def place_for(directory: Path, model: str, facts: Sequence[str]) -> Workplace:
    """The place of a verification among those of all models; what others have left there too long ago is removed.

    Args:
        directory: where all places are.
        model: the model.
        facts: what tells this verification from others of the model: the stores, and what is looked at.
    """
    name = f"{model}-{hashlib.sha256(chr(10).join(facts).encode()).hexdigest()[:8]}"
    for plan in directory.glob(f"*/{_PLAN}"):
        if plan.parent.name != name:
            with suppress(OSError, LockedError):
                if time.time() - plan.stat().st_mtime > OLDEST.total_seconds():
                    other = Workplace(plan.parent)
                    with other.held():
                        other.clear()
    return Workplace(directory / name)


class Workplace:
    """One directory, held by one process at a time.

    Args:
        directory: the directory, which is made where there is none.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the directory for the block.

        Raises:
            LockedError: another process has it.
            MigratorError: it cannot be made.
        """
        with explained(self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            lock = (self.directory / _LOCK).open("a")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError(
                    f"another verification works in {self.directory}",
                    safe=_UNCHANGED,
                    next_step="Wait until it has ended, or give this one a directory of its own: --work-dir.",
                ) from None
            yield

    def plan(self) -> Plan | None:
        """The plan of the verification that was not finished here; None where there is none.

        Raises:
            LockedError: it was damaged.
        """
        file = self.directory / _PLAN
        if not file.exists():
            return None
        try:
            kept = unsealed(file.read_bytes())
            tasks = [of_json(each, place, None) for place, each in enumerate(kept["tasks"])]
            return Plan(kept["basis"], datetime.fromisoformat(kept["started_at"]), kept["partitions"], tasks)
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise self._damaged(file) from error

    def begin(self, plan: Plan) -> None:
        """Keeps a plan; what was here of another one is gone."""
        self.clear()
        for table in plan.partitions:
            with explained(self.directory):
                (self.directory / _LINES / table).mkdir(parents=True)
        content: dict[str, Any] = {
            "basis": dict(plan.basis),
            "started_at": plan.started_at.isoformat(),
            "partitions": dict(plan.partitions),
            "tasks": [as_json(each) for each in plan.tasks],
        }
        write(self.directory / _PLAN, sealed(content))

    def same(self, plan: Plan, basis: Mapping[str, str], *, refuse: bool) -> bool:
        """Whether a plan was made under this basis, and may be gone on with.

        Raises:
            LockedError: it was not, and that is to be refused.
        """
        other = [name for name in {**basis, **plan.basis} if basis.get(name) != plan.basis.get(name)]
        if other and refuse:
            raise LockedError(
                f"the verification that was begun at {plan.started_at:%Y-%m-%d %H:%M} UTC and not finished "
                f"({self.directory}) has another {' and another '.join(other)}",
                safe=_UNCHANGED,
                next_step="To forget it and begin anew, run `migrate verify --restart`; to go on with it, run it as it "
                "was begun.",
            )
        return not other

    def left(self, plan: Plan) -> Left:
        """What is left of a plan. Whatever no process has said to be settled is removed.

        Raises:
            LockedError: what was settled is not all there.
        """
        settled = [self._settled(file) for file in self._saved()]
        finished = {task for each in settled for task in each.finished}
        positions = {task: position for each in settled for task, position in each.positions.items()}
        report = Report()
        for each in settled:
            report.add(each.report)
        for table in plan.partitions:
            self._cut(table, {name: size for each in settled for name, size in each.lengths.get(table, {}).items()})
        tasks = [
            of_json(as_json(task), place, positions.get(place))
            for place, task in enumerate(plan.tasks)
            if place not in finished
        ]
        return Left(tasks, report, Keep(self.directory, len(settled)))

    def partitions(self, plan: Plan, table: str) -> Partitions:
        """Where the lines of a table are."""
        return Partitions(self.directory / _LINES / table, plan.partitions[table])

    def clear(self) -> None:
        """Removes all that is kept: the plan first, so that nobody goes on with what is half gone."""
        with explained(self.directory):
            (self.directory / _PLAN).unlink(missing_ok=True)
            for each in self.directory.iterdir():
                if each.is_dir():
                    shutil.rmtree(each)
                elif each.name != _LOCK:
                    each.unlink()

    def _saved(self) -> list[Path]:
        return sorted(self.directory.glob(f"{PREFIX}*"))

    def _settled(self, file: Path) -> Settled:
        try:
            return Settled.of(file.read_bytes())
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise self._damaged(file) from error

    def _cut(self, table: str, lengths: Mapping[str, int]) -> None:
        """Cuts spilled files to what was settled."""
        directory = self.directory / _LINES / table
        with explained(directory):
            for each in directory.iterdir():
                if each.is_dir():
                    shutil.rmtree(each)
                elif each.name not in lengths:
                    each.unlink()
        for name, length in lengths.items():
            file = directory / name
            if not file.is_file() or file.stat().st_size < length:
                raise self._damaged(file)
            with explained(directory), file.open("r+b") as opened:
                opened.truncate(length)

    def _damaged(self, file: Path) -> LockedError:
        return LockedError(
            f"what an unfinished verification has kept is damaged: {file}",
            safe=_UNCHANGED,
            next_step="To forget it and begin anew, run `migrate verify --restart`.",
        )
