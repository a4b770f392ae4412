"""A verification that was killed goes on where it was, and refuses to where it should not."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from migrator.engines import verify
from migrator.engines.verify.reading.workplace import Workplace
from migrator.errors import LockedError
from tests.integration.engines.test_verify import delete, items_of
from tests.support.faults import Delay, Stall
from tests.support.kills import ROOT
from tests.support.started import Started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from migrator.engines.verify.reading.workplace import Left
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

SECONDS = 60


def place_in(directory: Path) -> Workplace:
    (only,) = directory.iterdir()
    return Workplace(only)


def left_in(directory: Path) -> Left | None:
    """What the runs so far have left to do; None where they have not even a plan."""
    try:
        place = place_in(directory)
    except (ValueError, FileNotFoundError):
        return None
    plan = place.plan()
    return None if plan is None else place.left(plan)


def start(migration: Migration, directory: Path, *options: str) -> Started:
    environment = {**os.environ, **migration.variables, "MIGRATOR_WORK_DIR": str(directory)}
    return Started(["migrator", "verify", "--patterns", "0", *options], ROOT, environment)


def killed(process: Started, when: Callable[[], bool]) -> None:
    """Kill a verification as soon as something holds."""
    until = time.monotonic() + SECONDS
    while not when() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    shown = process.communicate()
    assert process.returncode == -signal.SIGKILL, shown


async def resumed(migration: Migration, directory: Path, notices: list[str], **options: Any) -> verify.Report:  # noqa: ANN401
    return await verify.verify(
        migration.model,
        migration.model.entities,
        migration.stores,
        mappings=migration.mappings,
        scope=verify.Scope(patterns=0, work_dir=directory, **options),
        notice=notices.append,
    )


def kept(directory: Path, pattern: str) -> list[Path]:
    return sorted(directory.glob(pattern))


def saved(directory: Path, processes: int = 1) -> bool:
    """Whether so many processes have saved how far they are."""
    return len(kept(directory, "*/progress-*")) >= processes


@pytest.mark.uncovered
async def test_one_that_was_killed_while_it_read_goes_on(
    behind_proxy: Migration, proxy: FaultProxy, tmp_path: Path
) -> None:
    copied = behind_proxy
    await copied.copy()
    for item in (await items_of(copied, "EXECUTION_LOG"))[::50]:
        delete(copied, item)
    whole = await copied.verify()
    directory = tmp_path / "work"
    slow = proxy.inject(Delay(0.5), on="Scan")
    for run in (1, 2):
        process = start(copied, directory, "--max-rcu", "5", "--workers", str(run))
        await asyncio.to_thread(killed, process, partial(saved, directory, run))
    proxy.remove(slow)
    left = left_in(directory)
    assert left is not None
    assert 0 < left.report.items_scanned < whole.items_scanned
    assert left.report.read_units > 0
    started = place_in(directory).plan()
    notices: list[str] = []
    report = await resumed(copied, directory, notices)
    assert started is not None
    assert notices[0] == (
        f"going on with the verification begun at {started.started_at:%Y-%m-%d %H:%M} UTC; --restart begins anew"
    )
    # Each row and item was counted once, by whichever run has read it.
    assert (report.rows, report.items_expected) == (whole.rows, whole.items_expected)
    assert report.items_scanned == whole.items_scanned
    assert {repr(each) for each in report.differences} == {repr(each) for each in whole.differences}
    assert report.suspects == whole.suspects
    assert not saved(directory)
    async with copied.session() as session:
        began = await session.fetchval("SELECT started_at FROM migrator.verifications ORDER BY id DESC LIMIT 1")
    assert began == started.started_at


async def test_one_that_was_killed_while_it_judged_reads_nothing_again(
    behind_proxy: Migration, proxy: FaultProxy, tmp_path: Path
) -> None:
    await behind_proxy.copy()
    item, *_ = await items_of(behind_proxy, "USER")
    delete(behind_proxy, item)
    with proxy.failing(Stall(), on="BatchGetItem"):
        process = start(behind_proxy, tmp_path / "work")
        await asyncio.to_thread(proxy.wait_for, "BatchGetItem", 1)
        killed(process, lambda: True)
    # No segment can be read any more: nothing asks for one.
    with proxy.failing(Stall(), on="Scan"):
        report = await resumed(behind_proxy, tmp_path / "work", [])
    assert [each.verdict for each in report.differences] == [verify.Verdict.MISSING]
    assert report.items_scanned == len(await behind_proxy.expected()) - 1


@pytest.fixture
async def unfinished(copied: Migration, tmp_path: Path) -> Path:
    """What a verification has left that was killed as it read."""
    directory = tmp_path / "work"
    process = start(copied, directory, "--max-rcu", "10")
    await asyncio.to_thread(killed, process, partial(saved, directory))
    return directory


async def test_damage_is_seen_and_restart_begins_anew(copied: Migration, unfinished: Path) -> None:
    (progress,) = kept(unfinished, "*/progress-*")
    whole = progress.read_bytes()
    progress.write_bytes(whole.replace(b'"rows"', b'"mows"'))
    with pytest.raises(LockedError, match=r"is damaged: .*progress-") as caught:
        await resumed(copied, unfinished, [])
    assert caught.value.next_step == "To forget it and begin anew, run `migrate verify --restart`."
    progress.write_bytes(whole)
    for each in kept(unfinished, "*/lines/*/*"):
        each.write_bytes(b"")
    with pytest.raises(LockedError, match=r"is damaged: .*lines"):
        await resumed(copied, unfinished, [])
    report = await resumed(copied, unfinished, [], restart=True)
    assert report.clean
    assert not saved(unfinished)


async def test_another_mapping_is_refused_and_another_scope_is_a_verification_of_its_own(
    copied: Migration, unfinished: Path
) -> None:
    place = place_in(unfinished)
    plan = place.plan()
    assert plan is not None
    few = await verify.verify(
        copied.model,
        copied.model.entities[:2],
        copied.stores,
        mappings=copied.mappings,
        scope=verify.Scope(patterns=0, work_dir=unfinished),
    )
    assert few.clean
    assert place.plan() == plan
    place.begin(replace(plan, basis={**plan.basis, "mapping": "another"}))
    with pytest.raises(LockedError, match=r"begun at .* UTC and not finished .* has another mapping$") as caught:
        await resumed(copied, unfinished, [])
    assert caught.value.exit_code == 7
    # Who runs unattended cannot be asked.
    assert (await resumed(copied, unfinished, [], anew_if_other=True)).clean
    assert place.plan() is None


async def test_what_is_too_old_is_begun_anew(
    copied: Migration, unfinished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrator.engines.verify.job.OLDEST", timedelta(0))
    notices: list[str] = []
    assert (await resumed(copied, unfinished, notices)).clean
    assert "is too old to go on with: all is read anew" in notices[0]


async def test_two_do_not_work_in_one_place(copied: Migration, tmp_path: Path) -> None:
    where = tmp_path / "work"
    await resumed(copied, where, [])
    with place_in(where).held(), pytest.raises(LockedError, match="another verification works in"):
        await resumed(copied, where, [])
