"""Stores that fail, answer late or go away: the application does not notice, and no mark is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from migrator.postgres import pending
from tests.integration.app.application import LIMITS, Application, until
from tests.support.faults import Cut, Delay, Late, Stall, server_error, throttle

if TYPE_CHECKING:
    from tests.support.fault_proxy import FaultProxy

HASTY = replace(LIMITS, attempt=0.5, failures=2)


@pytest.mark.uncovered
def test_a_target_that_fails_now_and_then_loses_nothing(app: Application, proxy: FaultProxy) -> None:
    for fault, rate in (
        (throttle(), 0.1),
        (server_error(applied=True), 0.1),
        (Cut("after"), 0.1),
        (Cut("before"), 0.1),
        (Delay(0.05), 0.1),
    ):
        proxy.inject(fault, rate=rate)
    with app.mirrored(endpoint_url=proxy.endpoint_url) as writer:
        for number in range(40):
            app.commit(f"org-{number % 7}", name=f"name {number}")
    assert sum(proxy.applied.values()) > 0
    assert writer.counts.mirrored > 0
    app.drain()
    assert app.differing() == []


@pytest.mark.uncovered
def test_an_outage_opens_the_breaker_and_its_end_closes_it(app: Application, proxy: FaultProxy) -> None:
    with app.mirrored(mode="inline", deadline=20.0, endpoint_url=proxy.endpoint_url, limits=HASTY) as writer:
        app.commit("org-before")
        with proxy.failing(server_error()):
            for number in range(2):
                app.commit(f"org-{number}")
            assert writer.counts.failures == 2
            requests = sum(proxy.seen.values())
            app.commit("org-resting")
            assert sum(proxy.seen.values()) == requests
            assert writer.counts.left == {"failed": 2, "resting": 1}
        assert app.waiting() == 3

        def mirrored_again() -> bool:
            app.commit("org-after", name="touched")
            return writer.counts.mirrored > 1

        until(mirrored_again)
        assert writer.counts.late == 0
    app.drain()
    assert app.differing() == []


def test_a_commit_waits_no_longer_than_its_deadline(app: Application, proxy: FaultProxy) -> None:
    with app.mirrored(mode="inline", deadline=20.0, endpoint_url=proxy.endpoint_url) as writer:
        app.commit("org-1")
        writer.deadline = 0.05
        with proxy.failing(Stall(), on="PutItem"):
            app.commit("org-2")
            assert writer.counts.late == 1
            proxy.wait_for("PutItem", 2)
            proxy.release()
        until(lambda: writer.counts.mirrored == 2)
    assert app.differing() == []


def test_a_request_that_arrives_late_does_no_harm(app: Application, proxy: FaultProxy) -> None:
    with app.mirrored(mode="inline", deadline=20.0, endpoint_url=proxy.endpoint_url) as writer:
        app.commit("org-1", name="first")
        proxy.inject(Late(), on="PutItem", times=1)
        app.commit("org-1", name="second")
        app.commit("org-1", name="third")
        proxy.release()
        assert writer.counts.mirrored == 3
    assert app.differing() == []


def test_sessions_on_the_source_that_are_cut_are_opened_again(app: Application) -> None:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'migrator mirror'"
    stop = Event()

    def cuts() -> None:
        while not stop.wait(0.05):
            with app.sessions() as session:
                session.execute(sa.text(cut))

    with app.mirrored(mode="inline", deadline=20.0) as writer:
        app.commit("org-1")
        thread = Thread(target=cuts)
        thread.start()
        for number in range(100):
            app.commit(f"org-again-{number % 10}", name=str(number))
        stop.set()
        thread.join()
        before = writer.counts

        def mirrored() -> bool:
            app.commit("org-after", name=str(writer.counts.touched))
            return writer.counts.mirrored > before.mirrored

        until(mirrored)
        assert set(writer.counts.left) <= {"failed", "not_found", "resting"}, "the mirror has not ended"
    app.drain()
    assert app.differing() == []


def test_a_source_that_cannot_be_reached_is_waited_for(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    writer = app.writer(mode="inline", deadline=20.0)
    writer._place = replace(writer._place, database_url="postgresql://127.0.0.1:1/none")  # noqa: SLF001
    writer.attach(app.sessions)
    with writer:
        app.commit("org-1")
        until(lambda: writer.counts.left["resting"] == 1)
        app.commit("org-2")
        assert writer.counts.left["resting"] == 2
    writer.detach()
    assert app.waiting() == 2
    assert [record.message for record in caplog.records if "does not answer" in record.message] != []


def test_the_kill_switch_stops_the_mirror_and_leaves_every_mark(app: Application) -> None:
    with app.mirrored(mode="inline", deadline=20.0) as writer:
        app.commit("org-1")
        writer.mode = "off"
        app.commit("org-2", "org-3")
        assert (writer.counts.touched, app.waiting()) == (1, 2)
        writer.mode = "inline"
        app.commit("org-2", name="touched again")
        assert app.waiting() == 1, "all marks of a row are settled at once"


def test_a_full_queue_leaves_rows_to_the_relay(app: Application, proxy: FaultProxy) -> None:
    limits = replace(LIMITS, queue=5, hands=1, batch=1)
    with app.mirrored(endpoint_url=proxy.endpoint_url, limits=limits) as writer:
        app.commit("org-first")
        until(lambda: writer.counts.mirrored == 1)
        with proxy.failing(Stall(), on="PutItem"):
            app.commit("org-held")
            proxy.wait_for("PutItem", 2)
            for number in range(8):
                app.commit(f"org-{number}")
            assert writer.counts.left == {"queue_full": 3}
            proxy.release()
        until(lambda: writer.counts.mirrored == 7)
    assert app.waiting() == 3


@pytest.mark.uncovered
def test_twenty_threads(app: Application) -> None:
    def commits(thread: int) -> None:
        for number in range(10):
            app.commit(f"org-{thread}", f"org-{thread}-{number}", f"org-shared-{number}-{thread % 4}")

    for number in range(10):
        app.commit(*(f"org-shared-{number}-{thread}" for thread in range(4)))
    with app.mirrored() as writer:
        threads = [Thread(target=commits, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = writer.counts
    assert counts.touched == 600
    assert counts.mirrored > 0
    assert counts.failures == 0
    app.drain()
    assert app.differing() == []


async def test_marks_that_a_relay_works_on_are_its_own(app: Application) -> None:
    writer = app.writer(mode="inline", deadline=20.0)
    async with app.migration.session() as session:
        await asyncio.to_thread(app.commit, "org-1")
        async with pending.claimed(session, ["public.organizations"], 10) as claim:
            assert len(claim.marks) == 1
            writer.attach(app.sessions)
            async with writer:
                await asyncio.to_thread(app.commit, "org-1", name="touched")
            writer.detach()
    assert (writer.counts.mirrored, writer.counts.left) == (1, {})
    assert await app._waiting() == 1  # noqa: SLF001 - the test runs on a loop
