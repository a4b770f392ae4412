"""What faults of the target cost `copy`: client CPU per item, with each kind of fault alone and with all together.

The sink fails by a plan that a seed repeats, and adds up a digest of the distinct items it has taken: the same digest
as without faults means that the same items are there in the end. `sent` counts the items that came twice or more, as
those of requests do that took effect though they were answered by an error, or late.

    python bench/fault_cost.py [--rows N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import fields, replace
from statistics import median

from bench._sink import Faults, Received, sink
from bench.copy_cost import measure, prepare
from migrator.sandbox import embedded_postgres, scrub

RATES = Faults(unprocessed=0.10, throttled=0.05, failed=0.01, cut=0.01, late=0.01)
_PEER = "copy, without start and end"


def plans() -> dict[str, Faults]:
    """No faults, each kind alone, all together."""
    kinds = {each.name: getattr(RATES, each.name) for each in fields(Faults) if getattr(Faults(), each.name) == 0.0}
    alone = {f"{rate:.0%} {name}": Faults(**{name: rate}) for name, rate in kinds.items()}
    return {"none": Faults(), **alone, "all of them": RATES}


def main() -> None:
    """Measures all in turn, several times, and prints the medians as a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    kept = scrub(os.environ)
    os.environ.clear()
    os.environ.update(kept, AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench", NO_PROXY="127.0.0.1")  # noqa: S106
    seconds: dict[str, list[float]] = {name: [] for name in plans()}
    received: dict[str, list[Received]] = {name: [] for name in plans()}
    with embedded_postgres() as server:
        asyncio.run(prepare(server.url, chosen.rows))
        for number in range(chosen.rounds):
            for name, faults in plans().items():
                with sink(faults=replace(faults, seed=number)) as target:
                    took, came = measure(_PEER, server.url, target)
                seconds[name].append(took)
                received[name].append(came)
    show(chosen.rows, seconds, received)


def show(rows: int, seconds: dict[str, list[float]], received: dict[str, list[Received]]) -> None:
    """The table; the run without faults is what the others are compared with."""
    first = next(iter(seconds))
    items, digest = received[first][0].distinct, received[first][0].digest
    base, least = median(seconds[first]), min(seconds[first])
    print(f"client CPU per item of copy, {rows:,} rows as {items:,} items; median and least of {len(seconds[first])}")
    print(f"{'faults':18}{'us/item':>9}{'ratio':>7}{'least':>7}{'ratio':>7}{'sent':>9}  same items")
    for name, took in seconds.items():
        each = median(took)
        same = all(came.digest == digest for came in received[name])
        again = sum(came.items for came in received[name]) / len(received[name]) - received[first][0].items
        print(
            f"{name:18}{each / items * 1e6:9.1f}{each / base:7.2f}{min(took) / items * 1e6:7.1f}"
            f"{min(took) / least:7.2f}{again:+9,.0f}  {'yes' if same else 'NO'}"
        )


if __name__ == "__main__":
    main()
