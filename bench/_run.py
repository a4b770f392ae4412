"""One copy or verification in a process of its own, which tells what it and its workers have taken.

It imports no more than the command does.

    python -m bench._run copy|verify DATABASE_URL ENDPOINT_URL WORKERS
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import orjson

from mappings.miyabi import MODEL
from migrator.engines import copy, verify
from migrator.engines.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAPPINGS = "mappings.miyabi"
_REGION = "eu-west-1"
_SAMPLED_SECONDS = 0.02


@dataclass(frozen=True)
class Run:
    """What one run has done and taken, its workers included.

    Attributes:
        rows: of the source.
        items: that became of them.
        seconds: from beginning to end; the interpreter's own start is not in it.
        cpu_seconds: of this process in that time, and from their start of its workers and what they are forked from.
        resident: bytes of memory, at the peak of the process that had most.
        spilled: bytes on disk.
        apart: by how much of the time the first worker to end was ahead of the last.
    """

    rows: int
    items: int
    seconds: float
    cpu_seconds: float
    resident: int
    spilled: int
    apart: float


def measure(what: Literal["copy", "verify"], database_url: str, endpoint_url: str, workers: int) -> Run:
    """What a run in a process of its own has taken.

    Raises:
        CalledProcessError: it failed; why, stands on stderr.
    """
    command = [sys.executable, "-m", "bench._run", what, database_url, endpoint_url, str(workers)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])  # noqa: S603
    return Run(**orjson.loads(done.stdout))


@dataclass
class _Watch:
    """Watches this process and its workers. Holds the most memory that one of them had, and when each worker ended.

    `cpu_seconds` is what watching itself has taken, which is no part of the run.
    """

    resident: int = 0
    cpu_seconds: float = 0.0
    ended: dict[int, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLED_SECONDS):
            self._look()
        self._look()
        self.cpu_seconds = time.thread_time()

    def _look(self) -> None:
        now = time.monotonic()
        started = list(_started_by(os.getpid()))
        workers = {worker for each in started for worker in _started_by(each)}
        for pid in (os.getpid(), *started, *workers):
            resident = _peak(pid)
            self.resident = max(self.resident, resident)
            if resident and pid in workers:
                self.ended[pid] = now


def _started_by(pid: int) -> Iterator[int]:
    """The processes that another has started to work: a run's starts one, and from that one the workers are forked."""
    # A thread, or a process, may end between the one look and the other.
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (task / "children").read_text().split():
                    if b"migrator.engines.workers" in Path(f"/proc/{child}/cmdline").read_bytes():
                        yield int(child)


def _peak(pid: int) -> int:
    """The most memory that a process has had resident, since it runs its program; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def run_copy(stores: Stores, workers: int) -> tuple[int, int, int]:
    """All rows, anew; returns rows, items and bytes spilled."""
    outcome = asyncio.run(
        copy.copy(
            MODEL,
            MODEL.entities,
            stores,
            mappings=_MAPPINGS,
            limits=copy.Limits(workers),
            restart=True,
            listener=copy.Silent(),
        )
    )
    return outcome.total.rows, outcome.total.items, 0


def run_verify(stores: Stores, workers: int) -> tuple[int, int, int]:
    """Both sides, which must be equal; returns rows, items and bytes spilled."""
    # What answers here is asked for nothing but scans.
    scope = verify.Scope(workers=workers, patterns=0)
    report = asyncio.run(verify.verify(MODEL, MODEL.entities, stores, mappings=_MAPPINGS, scope=scope))
    if not report.clean or report.suspects:
        raise SystemExit(f"the sides differ: {len(report.differences)} differences, {report.suspects} suspects")
    return sum(report.rows.values()), report.items_scanned, report.spilled


def main(what: str, database_url: str, endpoint_url: str, workers: int) -> None:
    """Runs, and prints what it has taken as JSON."""
    stores = Stores(database_url, region=_REGION, endpoint_url=endpoint_url)
    watch = _Watch()
    cpu, started = _cpu_seconds(), time.monotonic()
    with watch.watching():
        rows, items, spilled = (run_copy if what == "copy" else run_verify)(stores, workers)
    seconds, cpu = time.monotonic() - started, _cpu_seconds() - cpu - watch.cpu_seconds
    ends = sorted(watch.ended.values())
    apart = (ends[-1] - ends[0]) / seconds if ends else 0.0
    sys.stdout.buffer.write(orjson.dumps(asdict(Run(rows, items, seconds, cpu, watch.resident, spilled, apart))))


def _cpu_seconds() -> float:
    """What this process has used, and those that it has started, and so on; of these, those that were waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
