"""How copy and verify grow with the number of rows, and with the number of processes.

The source is the reference mix in an embedded PostgreSQL; the target takes items into a file and gives them back from
there, without holding them in memory. Each run is a process of its own. Its CPU time, and its peak of resident memory,
are its own and its workers'; neither PostgreSQL nor the target is in it. `growth` is the CPU time per item by which a
run exceeds that of the size before: what it takes to start is not in it. `apart`: by how much of a run's time the first
worker to end was ahead of the last.

    python bench/growth.py [--rows N ...] [--workers N ...]

Ten million rows take some 25 GB in the directory that TMPDIR names.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Self

from bench import _rows
from bench._run import measure
from bench._scans import scans
from bench._sink import sink
from migrator.sandbox import embedded_postgres, scrub

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench._run import Run

_MEGABYTE = 2**20


class Growth:
    """A source that grows, and a target in a file; to be entered."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._rows = 0

    def __enter__(self) -> Self:
        self._database_url = self._stack.enter_context(embedded_postgres(_rows.settings())).url
        self._directory = Path(self._stack.enter_context(TemporaryDirectory(prefix="growth-")))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def to(self, rows: int) -> None:
        """Adds rows until there are so many, in thousands."""
        if not self._rows:
            asyncio.run(_rows.begin(self._database_url))
            self._rows = _rows.BASE
        if rows > self._rows:
            asyncio.run(_rows.grow(self._database_url, self._rows, rows))
        self._rows = rows

    def runs(self, workers: int) -> Iterator[tuple[str, Run]]:
        """Copies all rows and verifies what came of them."""
        file = self._directory / "items"
        file.unlink(missing_ok=True)
        with sink(keep=file) as target:
            copied = measure("copy", self._database_url, target.url, workers)
            if target.report().items != copied.items:
                raise SystemExit("items were written twice, or not at all")
        yield "copy", copied
        with scans(file) as url:
            yield "verify", measure("verify", self._database_url, url, workers)


def environment(ambient: Mapping[str, str]) -> dict[str, str]:
    """The environment without what points at other stores, and with what the target asks for."""
    return {**scrub(ambient), "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "NO_PROXY": "127.0.0.1"}


def main(arguments: Sequence[str]) -> None:
    """Measures each size, by each number of processes."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 300_000])
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    chosen = options.parse_args(arguments)
    settled = environment(os.environ)
    os.environ.clear()
    os.environ.update(settled)
    print(HEAD)
    before: dict[tuple[str, int], Run] = {}
    with Growth() as growth:
        for rows in chosen.rows:
            growth.to(rows)
            for workers in chosen.workers:
                for name, run in growth.runs(workers):
                    print(line(name, run, workers, before.get((name, workers))), flush=True)
                    before[name, workers] = run


HEAD = (
    f"{'':8}{'rows':>12}{'items':>12}{'workers':>9}{'seconds':>9}{'items/s':>10}{'us/item':>9}{'growth':>8}"
    f"{'peak MB':>9}{'disk MB':>9}{'apart':>8}"
)


def line(name: str, run: Run, workers: int, before: Run | None = None) -> str:
    """One run as a line of the table. Memory is that of the largest process."""
    growth = (
        "" if before is None else f"{(run.cpu_seconds - before.cpu_seconds) / (run.items - before.items) * 1e6:.1f}"
    )
    return (
        f"{name:8}{run.rows:12,}{run.items:12,}{workers:9}{run.seconds:9.1f}{run.items / run.seconds:10,.0f}"
        f"{run.cpu_seconds / run.items * 1e6:9.1f}{growth:>8}{run.resident / _MEGABYTE:9.0f}"
        f"{run.spilled / _MEGABYTE:9.0f}{f'{run.apart:.1%}' if workers > 1 else '':>8}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
