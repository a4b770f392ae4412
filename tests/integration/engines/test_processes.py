"""Work that is shared out to processes is done once, wholly, and fails as a whole."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from migrator.engines.processes import Loss, share_out
from migrator.errors import LockedError, MigratorError

if TYPE_CHECKING:
    from migrator.engines.processes import Foreman

LOSS = Loss(safe="All is safe.", next_step="Begin again.")


@dataclass(frozen=True)
class Sum:
    """Two numbers to add up."""

    one: int
    other: int


@dataclass(frozen=True)
class Name:
    """A name to spell backwards."""

    name: str


class Counting:
    """Does all there is to do, tells what comes of it, and counts what it has done."""

    async def __call__(self, foreman: Foreman[tuple[int, str]]) -> int:
        done = 0
        while (name := await foreman.take(Name)) is not None:
            foreman.tell((os.getpid(), name.name[::-1]))
            done += 1
        while (task := await foreman.take(Sum)) is not None:
            foreman.tell((os.getpid(), str(task.one + task.other)))
            await asyncio.sleep(0.001)
            done += 1
        return done


class Failing:
    """Fails at its first task, for a reason that is known."""

    async def __call__(self, foreman: Foreman[str]) -> None:
        await foreman.take(Name)
        raise LockedError("another one has it", safe="nothing is lost", next_step="wait")


class Killed:
    """Is killed at its first task, as by the system when memory runs out; the others wait."""

    async def __call__(self, foreman: Foreman[str]) -> None:
        if await foreman.take(Name) is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(3600)


class Waiting:
    """Tells that it has begun, and does nothing more."""

    async def __call__(self, foreman: Foreman[str]) -> None:
        foreman.tell("begun")
        await asyncio.sleep(3600)


@pytest.mark.parametrize("processes", [1, 2])
async def test_each_task_is_done_once(processes: int) -> None:
    sums = [Sum(number, 1000) for number in range(500)]
    told: list[tuple[int, str]] = []
    done = await share_out(Counting(), processes, [*sums, Name("abc"), Name("def")], told.append, LOSS)
    assert len(done) == processes
    assert sum(done) == len(told) == 502
    assert sorted(text for _, text in told) == sorted(["cba", "fed", *(str(1000 + number) for number in range(500))])
    pids = {pid for pid, _ in told}
    assert (pids == {os.getpid()}) is (processes == 1)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_failure_is_raised_as_it_was(processes: int) -> None:
    with pytest.raises(LockedError, match="another one has it") as caught:
        await share_out(Failing(), processes, [Name("abc")], print, LOSS)
    assert (caught.value.safe, caught.value.next_step) == ("nothing is lost", "wait")
    assert multiprocessing.active_children() == []


async def test_a_worker_that_is_killed_ends_the_work() -> None:
    with pytest.raises(MigratorError, match=r"a worker \(pid \d+\) ended with -9 before its work was done") as caught:
        await share_out(Killed(), 3, [Name("abc")], print, LOSS)
    assert (caught.value.safe, caught.value.next_step, caught.value.exit_code) == (LOSS.safe, LOSS.next_step, 1)
    assert multiprocessing.active_children() == []


async def test_work_that_is_cancelled_leaves_no_process() -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Semaphore(0)

    def told(_: str) -> None:
        loop.call_soon_threadsafe(begun.release)

    working = asyncio.create_task(share_out(Waiting(), 2, [], told, LOSS))
    for _ in range(2):
        await begun.acquire()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert multiprocessing.active_children() == []
