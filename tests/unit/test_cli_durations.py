"""Durations and times of schedules: what is taken, and what is refused."""

from __future__ import annotations

from datetime import time, timedelta

import pytest
import rich_click as click

from migrator.cli.duration import Duration, duration_text
from migrator.cli.rounds import Rounds
from migrator.cli.schedules import Times
from migrator.errors import UsageError

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("written", "seconds"), [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d2h3m4s", 93784), ("120m", 7200)]
)
def test_a_duration_is_read(written: str, seconds: int) -> None:
    assert Duration().convert(written, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", ["", "0", "0s", "0h0m", "-5m", "5", "m", "5 m", "30m1h", "1.5h", "5M", "\u0665m", "5m\n"]
)
def test_what_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(click.BadParameter):
        Duration().convert(written, None, None)


def test_a_duration_is_shown_in_its_largest_units() -> None:
    shown = {duration_text(timedelta(seconds=each)) for each in (0, 59.9, 3600, 5400, 93784, -3)}
    assert shown == {"0s", "59s", "1h", "1h30m", "1d2h"}


def test_attempts_begin_at_the_interval_and_always_rest() -> None:
    rounds = Rounds(timedelta(minutes=5))
    assert rounds.pause(0, 0) == 300
    assert rounds.pause(20, 0.1) == pytest.approx(310)
    assert rounds.pause(20, -0.1) == pytest.approx(250)
    assert rounds.pause(4000, -0.1) == 30
    assert Rounds(timedelta(seconds=1)).pause(50, -0.1) == 1


@pytest.mark.parametrize(
    ("times", "cron", "calendar", "expression"),
    [
        (Times(MINUTE), "*/1 * * * *", "*:0/1", "rate(1 minute)"),
        (Times(5 * MINUTE), "*/5 * * * *", "*:0/5", "rate(5 minutes)"),
        (Times(), "0 */1 * * *", "*-*-* 0/1:00:00", "rate(1 hour)"),
        (Times(360 * MINUTE), "0 */6 * * *", "*-*-* 0/6:00:00", "rate(6 hours)"),
        (Times(1440 * MINUTE), "0 0 * * *", "*-*-* 00:00:00", "rate(24 hours)"),
        (Times(at=time(3, 5), zone="UTC"), "5 3 * * *", "*-*-* 03:05:00 UTC", "cron(5 3 * * ? *)"),
    ],
)
def test_each_scheduler_has_its_words_for_a_time(times: Times, cron: str, calendar: str, expression: str) -> None:
    assert (times.cron, times.calendar, times.expression) == (cron, calendar, expression)


@pytest.mark.parametrize("minutes", [0.5, 7, 45, 90, 300, 2880])
def test_an_interval_that_no_scheduler_keeps_is_refused(minutes: float) -> None:
    with pytest.raises(UsageError, match="minutes that divide an hour"):
        Times(minutes * MINUTE)
