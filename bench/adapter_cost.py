"""What the adapter adds to an application's commits, in each of its modes.

One thread commits one small row at a time, by a session of SQLAlchemy; timed is the whole transaction: merge, flush,
commit. The ways take turns from one transaction to the next, with a pause after each in which the mirror comes to its
end: so what is told is the delay of the commit itself, and all ways meet the same disturbances. Beside the modes stand
the application without the adapter, the same with listeners that do nothing, and one that carries over each row by
itself after its commit, by the same steps, on a loop of its own: what mode `inline` costs above that is the adapter.

PostgreSQL and the DynamoDB emulator are embedded and share the processors with the application.

    python bench/adapter_cost.py [--commits N] [--pause SECONDS]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from functools import partial
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import registry, sessionmaker

from mappings.miyabi import MODEL
from mappings.miyabi.schema import metadata, organizations
from migrator.app import DualWriter, Limits
from migrator.app.mirror import Place, opened
from migrator.app.row_name import RowName
from migrator.dynamodb import admin, control
from migrator.dynamodb.session import open_session
from migrator.postgres import capture, phases, state
from migrator.postgres.connection import connect
from migrator.sandbox import embedded_dynamodb, embedded_postgres, scrub

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.app import Mode

    Commit = Callable[[str], None]

BY_HAND = "the steps by hand"
WARM_UP = 30
RATES = (10, 50, 150)
MODES: tuple[Mode, ...] = ("off", "background")


class Taken(NamedTuple):
    """Milliseconds that a transaction took, and those of CPU of the thread that made it."""

    wall: float
    cpu: float


class Organization:
    """A row of organizations."""


registry().map_imperatively(Organization, organizations)


async def prepare(url: str) -> None:
    """The toolkit's schema, capture, and the phase in which changes are followed."""
    session = await connect(url, purpose="bench")
    await state.install(session)
    for table, columns in capture.wanted([MODEL]).items():
        for statement in capture.create_statements(table, columns):
            await session.execute(statement)
    await phases.move(session, MODEL.name, [entity.name for entity in MODEL.entities], "dual_write")
    await session.close()


def commit(sessions: sessionmaker[Any], key: str) -> None:
    """One transaction."""
    now = datetime.now(UTC)
    row = Organization()
    for name, value in {"id": key, "name": "an organization", "created_at": now, "updated_at": now}.items():
        setattr(row, name, value)
    with sessions() as session:
        session.merge(row)
        session.commit()


def listening(sessions: sessionmaker[Any]) -> Commit:
    """Listeners that do nothing."""
    for name in ("after_flush", "do_orm_execute", "after_commit", "after_transaction_end"):
        event.listen(sessions, name, lambda *_: None)
    return partial(commit, sessions)


def adapted(mode: Mode, sessions: sessionmaker[Any], url: str, stack: ExitStack) -> Commit:
    """The adapter in a mode."""
    writer = stack.enter_context(DualWriter(MODEL, url, mode=mode, deadline=30.0))
    writer.attach(sessions)
    stack.callback(writer.detach)
    return partial(commit, sessions)


def by_hand(sessions: sessionmaker[Any], url: str, stack: ExitStack) -> Commit:
    """The steps of `inline` without the adapter."""
    runner = stack.enter_context(asyncio.Runner())
    opening = opened(MODEL, Place(url), Limits())
    mirror = runner.run(opening.__aenter__())
    stack.callback(lambda: runner.run(opening.__aexit__(None, None, None)))

    def carried(key: str) -> None:
        commit(sessions, key)
        runner.run(mirror.carry([RowName("organizations", (key,))]))

    return carried


def ways(engine: sa.Engine, url: str, stack: ExitStack) -> dict[str, Commit]:
    """By name, how a row is committed: each way has sessions of its own on one engine."""
    return {
        "no adapter": partial(commit, sessionmaker(engine)),
        "empty listeners": listening(sessionmaker(engine)),
        "off": adapted("off", sessionmaker(engine), url, stack),
        "background": adapted("background", sessionmaker(engine), url, stack),
        BY_HAND: by_hand(sessionmaker(engine), url, stack),
        "inline": adapted("inline", sessionmaker(engine), url, stack),
    }


def run(url: str, commits: int, pause: float) -> dict[str, list[Taken]]:
    """What each transaction of each way took, the ways taking turns."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    metadata.create_all(engine)
    asyncio.run(prepare(url))
    found: dict[str, list[Taken]] = {}
    with ExitStack() as stack:
        chosen = ways(engine, url, stack)
        for number in range(-WARM_UP, commits):
            for place, (name, do) in enumerate(chosen.items()):
                wall, cpu = time.perf_counter(), time.thread_time()
                do(f"org-{number}-{place}")
                taken = Taken(1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu))
                found.setdefault(name, []).append(taken)
                time.sleep(pause)
    with engine.begin() as connection:
        marks = connection.scalar(sa.text("SELECT count(*) FROM migrator.marks WHERE row_key ->> 'id' !~ '-[012]$'"))
        assert marks == 0, f"{marks} rows were left: what was measured is not the mirror"  # noqa: S101 - no figure then
    engine.dispose()
    return {name: taken[WARM_UP:] for name, taken in found.items()}


def under_load(url: str, mode: Mode, commits: int, rate: float) -> float:
    """The milliseconds of CPU of the whole process, the mirror's thread included, per transaction at a steady rate."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    sessions = sessionmaker(engine)
    with ExitStack() as stack:
        do = adapted(mode, sessions, url, stack)
        do(f"load-{mode}")
        time.sleep(1.0)
        cpu = time.process_time()
        for number in range(commits):
            began = time.perf_counter()
            do(f"load-{mode}-{number}")
            time.sleep(max(0.0, 1 / rate - (time.perf_counter() - began)))
        time.sleep(1.0)
        cpu = time.process_time() - cpu
    engine.dispose()
    return 1e3 * cpu / commits


def main() -> None:
    """Measures every way and prints a table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--commits", type=int, default=150)
    options.add_argument("--pause", type=float, default=0.08)
    chosen = options.parse_args()
    kept = scrub(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    with ExitStack() as stack:
        server = stack.enter_context(embedded_postgres())
        os.environ.update(stack.enter_context(embedded_dynamodb()).environment())
        with closing(control.connect(open_session())) as client:
            for table in MODEL.tables:
                admin.apply(client, table, admin.plan(client, table))
        found = run(server.url, chosen.commits, chosen.pause)
        loads = {
            rate: [under_load(server.url, mode, 5 * rate, rate) for mode in ("off", "background")] for rate in RATES
        }
    print(
        f"ms per transaction of one row, {chosen.commits} of each way in turn; beside them, what is added to the same"
    )
    print("without the adapter (for inline: to the steps done by hand), and the committing thread's own CPU\n")
    print(f"{'':24}{'median':>10}{'p99':>10}{'added':>14}{'p99':>10}{'CPU':>10}{'added':>10}")
    for name, taken in found.items():
        peer = found[BY_HAND if name == "inline" else "no adapter"]
        middle, high, cpu = figures(taken)
        peer_middle, peer_high, peer_cpu = figures(peer)
        added = f"{middle - peer_middle:+14.3f}{high - peer_high:+10.3f}{cpu:10.3f}{cpu - peer_cpu:+10.3f}"
        print(f"{name:24}{middle:10.3f}{high:10.3f}{added}")
    print("\nms of CPU of the whole process per transaction in the background, and of these the mirror's")
    for rate, (without, with_mirror) in loads.items():
        print(f"{rate:6} per second{'':9}{with_mirror:10.3f}{with_mirror - without:10.3f}")


def figures(taken: list[Taken]) -> tuple[float, float, float]:
    """The median and the 99th percentile of the time, and the median of the CPU."""
    wall = [each.wall for each in taken]
    return median(wall), quantiles(wall, n=100)[98], median(each.cpu for each in taken)


if __name__ == "__main__":
    main()
