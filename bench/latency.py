"""What the target's latency costs `copy`: items per second and client CPU per item, by how long an answer takes.

Each run is one process, from its start to its end: it climbs from the rate of a cold on-demand table, which no latency
changes. The seconds are those of a clock, and say little where other work is done on the same machine; the target and
PostgreSQL have to share it too.

    python bench/latency.py [--rows N] [--milliseconds N ...] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import os

from bench._run import Run, measure
from bench._sink import Faults, sink
from bench.copy_cost import prepare
from bench.growth import environment
from migrator.sandbox import embedded_postgres


def main() -> None:
    """Measures each latency in turn, several times, and prints the fastest runs as a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=60_000)
    options.add_argument("--milliseconds", type=int, nargs="+", default=[0, 10, 30])
    options.add_argument("--rounds", type=int, default=2)
    chosen = options.parse_args()
    settled = environment(os.environ)
    os.environ.clear()
    os.environ.update(settled)
    runs: dict[int, list[Run]] = {milliseconds: [] for milliseconds in chosen.milliseconds}
    with embedded_postgres() as server:
        asyncio.run(prepare(server.url, chosen.rows))
        for _ in range(chosen.rounds):
            for milliseconds, each in runs.items():
                with sink(faults=Faults(answer_seconds=milliseconds / 1000)) as target:
                    each.append(measure("copy", server.url, target.url, 1))
    show(runs)


def show(runs: dict[int, list[Run]]) -> None:
    """The table; the first latency is what the others are compared with."""
    first = max(map(_rate, next(iter(runs.values()))))
    print(f"copy in one process, {next(iter(runs.values()))[0].items:,} items; the best of each latency")
    print(f"{'latency':>10}{'items/s':>10}{'ratio':>7}{'us/item':>9}")
    for milliseconds, each in runs.items():
        rate, cost = max(map(_rate, each)), min(run.cpu_seconds / run.items for run in each)
        print(f"{f'{milliseconds} ms':>10}{rate:10,.0f}{rate / first:7.2f}{cost * 1e6:9.1f}")


def _rate(run: Run) -> float:
    return run.items / run.seconds


if __name__ == "__main__":
    main()
