"""Work that is shared out to processes is done once, wholly, and fails as a whole."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from migrator.engines.processes import Loss, share_out
from migrator.errors import LockedError, MigratorError
from tests.support import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class Broken:
    """Fails at its first task, for a reason that nobody foresaw; the others wait."""

    async def __call__(self, foreman: Foreman[str]) -> None:
        if await foreman.take(Name) is not None:
            raise ZeroDivisionError("nobody foresaw it")
        await asyncio.sleep(3600)


class Waiting:
    """Tells that it has begun, and does nothing more."""

    async def __call__(self, foreman: Foreman[int]) -> None:
        foreman.tell(os.getpid())
        await asyncio.sleep(3600)


class Surroundings:
    """Tells what it finds around it."""

    async def __call__(self, foreman: Foreman[object]) -> None:
        foreman.tell((os.environ.get("AWS_SECRET_ACCESS_KEY"), sys.path, Path.cwd(), sys.stdin.read()))


@contextmanager
def group_at_work() -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Two workers and their parent, which leads a group; and what it prints: a line for each that has begun."""
    program = (
        "import asyncio\n"
        "from tests.integration.engines.test_processes import LOSS, Waiting, share_out\n"
        "asyncio.run(share_out(Waiting(), 2, [], lambda pid: print(pid, flush=True), LOSS))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as parent:
        assert parent.stdout is not None
        try:
            yield parent, parent.stdout
        finally:
            processes.end(parent.pid)


@pytest.mark.parametrize("count", [1, 2])
async def test_each_task_is_done_once(count: int) -> None:
    sums = [Sum(number, 1000) for number in range(500)]
    told: list[tuple[int, str]] = []
    done = await share_out(Counting(), count, [*sums, Name("abc"), Name("def")], told.append, LOSS)
    assert len(done) == count
    assert sum(done) == len(told) == 502
    assert sorted(text for _, text in told) == sorted(["cba", "fed", *(str(1000 + number) for number in range(500))])
    pids = {pid for pid, _ in told}
    assert (pids == {os.getpid()}) is (count == 1)
    assert processes.crew(os.getpid()) == ([], [])


@pytest.mark.parametrize("count", [1, 2])
async def test_a_failure_is_raised_as_it_was(count: int) -> None:
    with pytest.raises(LockedError, match="another one has it") as caught:
        await share_out(Failing(), count, [Name("abc")], print, LOSS)
    assert (caught.value.safe, caught.value.next_step) == ("nothing is lost", "wait")
    assert processes.crew(os.getpid()) == ([], [])


async def test_a_worker_that_is_killed_ends_the_work() -> None:
    with pytest.raises(MigratorError, match=r"a worker \(pid \d+\) ended with -9 before its work was done") as caught:
        await share_out(Killed(), 3, [Name("abc")], print, LOSS)
    assert (caught.value.safe, caught.value.next_step, caught.value.exit_code) == (LOSS.safe, LOSS.next_step, 1)
    assert processes.crew(os.getpid()) == ([], [])


async def test_work_that_is_cancelled_leaves_no_process() -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Semaphore(0)

    def told(_: int) -> None:
        loop.call_soon_threadsafe(begun.release)

    working = asyncio.create_task(share_out(Waiting(), 2, [], told, LOSS))
    for _ in range(2):
        await begun.acquire()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert processes.crew(os.getpid()) == ([], [])


async def test_a_worker_that_fails_for_a_reason_that_nobody_foresaw_tells_it(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MigratorError, match=r"a worker \(pid \d+\) ended with 1 before its work was done"):
        await share_out(Broken(), 2, [Name("abc")], print, LOSS)
    assert capfd.readouterr().err.count("ZeroDivisionError: nobody foresaw it") == 1
    assert processes.crew(os.getpid()) == ([], [])


async def test_what_workers_are_forked_from_is_killed() -> None:
    begun: list[int] = []

    def told(pid: int) -> None:
        begun.append(pid)
        if len(begun) == 2:
            os.kill(processes.crew(os.getpid())[0][0], signal.SIGKILL)

    with pytest.raises(MigratorError, match=r"a worker \(pid \d+\) ended with -9 before its work was done"):
        await share_out(Waiting(), 2, [], told, LOSS)
    assert not {*begun} & {process.pid for process in processes.members(os.getpgrp())}


async def test_workers_find_what_their_parent_has_around_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The environment of this moment, secrets too, which no command line shows."""
    await share_out(Counting(), 2, [], print, LOSS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of this moment")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    told: list[object] = []
    shown: list[str] = []

    def tell(found: object) -> None:
        told.append(found)
        shown.extend(process.command for process in processes.members(os.getpgrp()))

    await share_out(Surroundings(), 2, [], tell, LOSS)
    assert told == [("of this moment", sys.path, tmp_path, "")] * 2
    assert not any("of this moment" in command for command in shown)
    assert capfd.readouterr().err == ""


def test_nobody_is_left_when_the_parent_is_killed() -> None:
    with group_at_work() as (parent, output):
        begun = {int(output.readline()) for _ in range(2)}
        assert begun < set(processes.workers(parent.pid))
        assert len(processes.workers(parent.pid)) == 3
        parent.kill()
        assert processes.gone(parent.pid), processes.members(parent.pid)


@pytest.mark.parametrize("begun", [False, True], ids=["while the workers start", "while they work"])
def test_ctrl_c_is_the_parents_to_answer(begun: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with group_at_work() as (parent, output):
        if begun:
            assert int(output.readline()) in processes.workers(parent.pid)
        while not processes.workers(parent.pid):
            assert parent.poll() is None
            time.sleep(0.001)
        os.killpg(parent.pid, signal.SIGINT)
        _, shown = parent.communicate()
        assert parent.returncode == -signal.SIGINT
        assert shown.count("\nKeyboardInterrupt\n") == 1, shown
        assert processes.gone(parent.pid), processes.members(parent.pid)


async def test_where_importing_starts_a_thread_nothing_is_forked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_thread.py").write_text(
        "import os, threading\n"
        "THREAD = threading.Thread(target=threading.Event().wait, daemon=True)\n"
        "THREAD.start()\n"
        "class Telling:\n"
        "    async def __call__(self, foreman):\n"
        "        foreman.tell((os.getpid(), THREAD.is_alive()))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    told: list[tuple[int, bool]] = []
    await share_out(import_module("with_thread").Telling(), 2, [], told.append, LOSS)
    assert len({pid for pid, _ in told} | {os.getpid()}) == 3
    assert [alive for _, alive in told] == [True, True]
    assert processes.crew(os.getpid()) == ([], [])
