"""The lease: how long what PostgreSQL has said holds, and since when marks show that a write is in DynamoDB."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from migrator.app.lease import Lease
from migrator.postgres.pending import Horizon
from migrator.postgres.phases import Standing

MOVED = {"USER": Standing("read_target", percent=10)}


def test_it_holds_for_its_seconds_from_the_question_on() -> None:
    lease = Lease(60.0)
    held = [lease.holds]
    assert lease.standing("USER").phase == "prepare"
    lease.renew(time.monotonic(), MOVED, Horizon(1, None))
    held.append(lease.holds)
    assert (lease.standing("USER").percent, lease.standing("TASK").phase) == (10, "prepare")
    lease.renew(time.monotonic() - 61.0, MOVED, Horizon(1, None))
    held.append(lease.holds)
    assert held == [False, True, False], "an answer that came late is of no use"
    assert lease.standing("USER").phase == "read_target", "what was known last is known still"


def test_an_old_mark_keeps_what_came_after_it_unsettled() -> None:
    lease = Lease(60.0)
    lease.renew(10.0, {}, Horizon(100, 50))
    assert lease.settled == 0.0
    lease.renew(20.0, {}, Horizon(200, 90))
    assert lease.settled == 0.0
    lease.renew(30.0, {}, Horizon(300, 101))
    assert lease.settled == 10.0
    lease.renew(40.0, {}, Horizon(400, 301))
    assert lease.settled == 30.0
    lease.renew(50.0, {}, Horizon(500, None))
    assert lease.settled == 50.0


@given(st.lists(st.sampled_from(["write", "settle", "look"]), max_size=60), st.randoms(use_true_random=False))
def test_what_counts_as_settled_has_no_mark(steps: list[str], random: object) -> None:
    lease, marks, written, last = Lease(60.0), [], {}, 0
    for now, step in enumerate(steps, start=1):
        if step == "write":
            last += 1
            written[last] = float(now)
            marks.append(last)
        elif step == "settle" and marks:
            marks.remove(random.choice(marks))  # type: ignore[attr-defined]
        elif step == "look":
            lease.renew(float(now), {}, Horizon(last, min(marks, default=None)))
        assert all(written[mark] >= lease.settled for mark in marks)


def test_who_waits_is_told_what_becomes_of_the_next_question() -> None:
    lease = Lease(60.0)
    was_told = [lease.was_told]
    early, late, gone = lease.told_after(10.0), lease.told_after(20.0), lease.told_after(10.0)
    assert gone.cancel()
    lease.renew(10.0, MOVED, None)
    assert not early.done(), "it was asked before"
    lease.renew(15.0, MOVED, None)
    assert early.result(0) is True
    lease.not_renewed(20.5)
    assert late.result(0) is False
    assert lease.told_after(14.0).result(0) is True
    assert [*was_told, lease.was_told] == [False, True]
    assert lease.settled == 0.0


def test_the_last_phase_is_kept_for_good() -> None:
    lease = Lease(60.0)
    lease.renew(time.monotonic() - 61.0, {"USER": Standing("complete"), "TASK": Standing("read_target")}, None)
    lease.renew(time.monotonic() - 61.0, {}, None)
    assert (lease.holds, lease.standing("USER").phase, lease.standing("TASK").phase) == (False, "complete", "prepare")
    assert lease.until(["USER"]) == float("inf")
    assert lease.until(["USER", "TASK"]) < time.monotonic()
    assert Lease(60.0, lease.completed).standing("USER").phase == "complete"
