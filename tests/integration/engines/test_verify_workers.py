"""A verification in several processes: it finds what one process finds, and fails and ends as one."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from migrator.engines.processes import share_out
from migrator.engines.verify import Verdict
from migrator.engines.verify.reading import course, crew
from migrator.engines.verify.reading import tasks as tasks_of_verify
from migrator.errors import MigratorError, TargetError
from tests.integration.engines.test_verify import delete, items_of, left_in, put
from tests.support import processes
from tests.support.faults import Refuse, Stall

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from migrator.engines.verify import Report
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration


def gist(report: Report) -> tuple[object, ...]:
    """What two verifications of the same stores must agree on."""
    differences = sorted(map(repr, report.differences))
    return report.rows, report.items_expected, report.items_scanned, report.expired, differences


async def test_several_processes_find_what_one_does(copied: Migration) -> None:
    user, *_ = await items_of(copied, "USER")
    for item in (await items_of(copied, "EXECUTION_LOG"))[::50]:
        delete(copied, item)
    put(copied, {**user, "Extra": {"S": "more"}}, {**user, "PK": {"S": "USER#00000000-0000-4000-8000-000000000000"}})
    async with copied.session() as session:
        # Named by the processes that read them: nothing of these rows can be compared.
        await session.execute(
            "UPDATE tasks SET metadata = to_jsonb(repeat('12', 20)::numeric) "
            "WHERE id IN (SELECT id FROM tasks ORDER BY id LIMIT 30)"
        )
    one = await copied.verify()
    assert len(one.differences) > 30
    for workers in (2, 3):
        several = await copied.verify(workers=workers)
        assert gist(several) == gist(one)
        assert not several.clean
    assert processes.crew(os.getpid()) == ([], [])


@pytest.mark.uncovered
async def test_a_large_table_is_read_by_all_workers(narrow: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    """In ranges that hold as many rows each, however skewed the keys are."""
    async with narrow.session() as session:
        await session.execute(
            "INSERT INTO readings SELECT n::bigint * n * n * n, 'value ' || n FROM generate_series(1, 30000) AS n"
        )
        await session.execute("ANALYZE readings")
    ranges: list[tasks_of_verify.KeyRange] = []

    async def seen(work: crew.Crew, processes: int, tasks: Sequence[object], *others: Any) -> list[Report]:  # noqa: ANN401
        ranges.extend(task for task in tasks if isinstance(task, tasks_of_verify.KeyRange))
        assert processes == 2
        return await share_out(work, processes, tasks, *others)

    monkeypatch.setattr(course, "share_out", seen)
    report = await narrow.verify(workers=2)
    assert report.rows == {"readings": 30_000}
    assert len(report.differences) + report.unjudged == 30_000
    async with narrow.session() as session:
        counts = [
            await session.fetchval(
                "SELECT count(*) FROM readings "
                "WHERE ($1::bigint IS NULL OR id > $1) AND ($2::bigint IS NULL OR id <= $2)",
                *(bound and int(bound[0]) for bound in (each.after, each.until)),
            )
            for each in ranges
        ]
    assert len(counts) >= 8
    assert sum(counts) == 30_000
    assert max(counts) <= 2_500


@pytest.mark.uncovered
async def test_read_units_stay_under_the_limit_of_all_workers(copied: Migration) -> None:
    limit = 100.0
    report = await copied.verify(max_rcu=limit, workers=2)
    assert report.clean
    # What the buckets hold at the start comes on top, and for each segment's first page what it is not yet known to be.
    assert report.read_units <= limit * (report.seconds + 0.5)


async def test_suspects_are_looked_at_within_the_limit_too(narrow: Migration, proxy: FaultProxy) -> None:
    async with narrow.session() as session:
        await session.execute("INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 61) AS n")
    report = await narrow.through(proxy.endpoint_url).verify(max_rcu=60.0)
    assert report.count(Verdict.MISSING) == 61
    # Twice sixty, since no request takes more than a second's units, and twice one.
    assert proxy.seen["BatchGetItem"] == 4
    assert report.read_units <= 60.0 * (report.seconds + 0.5)


async def test_a_worker_that_is_killed_leaves_nothing_behind(
    behind_proxy: Migration, proxy: FaultProxy, temporary: Path
) -> None:
    proxy.inject(Stall(), on="Scan")
    verifying = asyncio.create_task(behind_proxy.verify(workers=2))
    await asyncio.to_thread(proxy.wait_for, "Scan", 1)
    _, (victim, *_) = processes.crew(os.getpid())
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(MigratorError, match=rf"a worker \(pid {victim}\) ended with -9") as caught:
        await verifying
    assert caught.value.exit_code == 1
    assert caught.value.safe == "Nothing was changed in either store; the temporary files are removed."
    assert processes.crew(os.getpid()) == ([], [])
    assert left_in(temporary) == []


async def test_a_worker_tells_what_went_wrong_in_it(
    behind_proxy: Migration, proxy: FaultProxy, temporary: Path
) -> None:
    proxy.inject(Refuse("AccessDeniedException"), on="Scan")
    with pytest.raises(TargetError, match=r"Scan on table .* is not allowed to these credentials"):
        await behind_proxy.verify(workers=2)
    assert left_in(temporary) == []
