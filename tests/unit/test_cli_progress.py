"""Progress where stderr is no terminal: a plain line now and then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from migrator.cli import progress
from migrator.cli.progress import copy_progress, relay_progress, verify_progress
from migrator.engines.copy import Settled
from migrator.engines.verify import Read
from migrator.postgres.checkpoints import Counts

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Say how many seconds there are between two lines."""
    return lambda seconds: monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", seconds)


def test_a_copy_tells_rows_rate_and_what_is_left(
    often: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    often(0.0)
    with copy_progress() as shown:
        shown.began({"users": 1500, "tasks": 3000}, {"users": Counts(rows=1500), "tasks": Counts(rows=500)})
        shown.settled(Settled("tasks", Counts(rows=500, items=1000)))
        shown.warned("something to know")
    line, warning = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"copied 2,500 of about 4,500 rows, [\d,]+ rows/s, about [\d,]+ s left", line)
    assert warning == "warning: something to know"


def test_more_rows_than_were_estimated_leave_nothing_to_wait_for(
    often: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    often(0.0)
    with copy_progress() as shown:
        shown.began({"users": 100}, {})
        shown.settled(Settled("users", Counts(rows=500)))
    assert capsys.readouterr().err.startswith("copied 500 of about 500 rows")


def test_a_verification_tells_rows_and_items(
    often: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    often(0.0)
    with verify_progress() as shown:
        shown(Read(rows=1200, items=3400))
    assert capsys.readouterr().err == "read 1,200 rows and 3,400 items\n"


def test_what_lasts_is_told_when_it_begins_and_what_happens_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with relay_progress(marks_bytes=1) as shown:
        for _ in range(3):
            shown.back.warned("late")
            shown.back.refused("BOOK", "no title")
        assert capsys.readouterr().err == "warning: late\nwarning: refused: BOOK: no title\n"
        monkeypatch.setattr(progress, "ENDED_SECONDS", 0.0)
        shown.back.warned("late")
        shown.back.refused("BOOK", "no title")
        assert capsys.readouterr().err == "warning: late\n"


def test_lines_keep_their_distance(often: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    often(3600.0)
    with copy_progress() as shown:
        shown.began({"users": 1000}, {})
        for _ in range(10):
            shown.settled(Settled("users", Counts(rows=100)))
    assert capsys.readouterr().err == ""
