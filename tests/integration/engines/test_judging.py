"""Verdicts under live writes: a change on its way is no difference, one that is set aside or lost is."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from migrator.engines.verify import Cause, Verdict, clocks
from migrator.engines.verify.judging import judge
from migrator.errors import ConfigurationError
from tests.integration.engines.test_verify import items_of, put
from tests.support.corrupting import apply
from tests.support.narrow import by_value
from tests.support.relaying import change, drain, follow

if TYPE_CHECKING:
    from migrator.engines.verify import Report
    from tests.support.migration import Migration


@dataclass(frozen=True)
class Clock:
    """A clock of this machine that is wrong by so many seconds."""

    ahead: float

    def time(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
async def followed(narrow: Migration) -> Migration:
    """Some rows, copied and followed."""
    await change(narrow, "INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 50) AS n")
    await follow(narrow)
    return narrow


def found(report: Report) -> list[tuple[Verdict, Cause | None]]:
    return sorted(((each.verdict, each.cause) for each in report.differences), key=str)


@pytest.mark.uncovered
async def test_what_waits_for_a_relay_is_not_verified_and_no_difference(
    followed: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_PAUSES", (0.1, 0.1))
    await change(
        followed,
        "UPDATE readings SET value = 'changed' WHERE id = 1",
        "DELETE FROM readings WHERE id = 2",
        "INSERT INTO readings VALUES (100, 'new')",
        "UPDATE readings SET id = 103 WHERE id = 3",
    )
    report = await followed.verify()
    assert report.differences == []
    verdicts = sorted(each.verdict.value for each in report.moving)
    assert verdicts == ["different", "extra", "extra", "missing", "missing"]
    assert not report.clean
    await drain(followed)
    assert (await followed.verify()).clean


@pytest.mark.uncovered
async def test_what_a_relay_settles_meanwhile_is_equal(followed: Migration) -> None:
    await change(followed, "UPDATE readings SET value = 'changed' WHERE id % 2 = 0")

    async def relay_later() -> None:
        await asyncio.sleep(1.0)
        await drain(followed)

    report, _ = await asyncio.gather(followed.verify(), relay_later())
    assert report.clean
    assert report.suspects == 25


async def test_what_was_set_aside_is_a_difference_and_says_why(followed: Migration) -> None:
    await change(
        followed,
        "UPDATE readings SET value = 'changed' WHERE id = 1",
        "UPDATE migrator.marks SET reason = 'it cannot be'",
    )
    report = await followed.verify()
    (difference,) = report.differences
    assert (difference.verdict, difference.cause, difference.reason) == (
        Verdict.DIFFERENT,
        Cause.POISON,
        "it cannot be",
    )
    assert report.moving == []


async def test_causes_are_named_as_far_as_they_are_known(followed: Migration) -> None:
    first, second, third, fourth, *_ = await items_of(followed, "READING")
    apply(followed, put=[], delete=[{"PK": first["PK"]}])
    put(
        followed,
        {"PK": second["PK"], "_v": {"N": "9"}, "_del": {"N": "1"}},
        {**third, "Colour": {"S": "red"}},
        {**fourth, "PK": {"S": "VALUE#nobody"}},
    )
    assert found(await followed.verify()) == sorted(
        [
            (Verdict.MISSING, None),
            (Verdict.MISSING, Cause.STALE),
            (Verdict.DIFFERENT, Cause.FOREIGN_WRITER),
            (Verdict.EXTRA, Cause.FOREIGN_ITEM),
        ],
        key=str,
    )


OFF = "ALTER TABLE readings DISABLE TRIGGER migrator_capture"
ON = "ALTER TABLE readings ENABLE ALWAYS TRIGGER migrator_capture"


def by_key(report: Report) -> dict[str, Cause | None]:
    assert report.moving == []
    return {each.key["PK"].removeprefix("READING#"): each.cause for each in report.differences}


async def test_a_change_that_capture_let_pass_is_known_where_it_can_be(followed: Migration) -> None:
    items = {each["PK"]["S"]: each for each in await items_of(followed, "READING")}
    await change(
        followed,
        OFF,
        "UPDATE readings SET value = 'unmarked' WHERE id IN (40, 43)",
        "INSERT INTO readings VALUES (100, 'unmarked')",
        "DELETE FROM readings WHERE id = 41",
    )
    put(
        followed,
        {**items["READING#42"], "value": {"S": "forged"}},
        {**items["READING#43"], "Colour": {"S": "red"}},
    )
    assert by_key(await followed.verify()) == {
        "40": Cause.NO_MARK,
        "100": Cause.NO_MARK,
        # A row that is gone says nothing of when it went.
        "41": None,
        # Not changed since: whatever this is, it is no change that has no mark.
        "42": None,
        "43": Cause.FOREIGN_WRITER,
    }


@pytest.mark.uncovered
async def test_a_change_of_the_transaction_that_switched_capture_off_and_on_is_known(followed: Migration) -> None:
    await change(followed, "BEGIN", OFF, "UPDATE readings SET value = 'unmarked' WHERE id = 1", ON, "COMMIT")
    assert by_key(await followed.verify()) == {"1": Cause.NO_MARK}
    await change(followed, OFF, "UPDATE readings SET value = 'unmarked' WHERE id = 2", ON)
    # Changed while it was off, or marked and then forged in the target: that cannot be told apart any more.
    assert by_key(await followed.verify()) == {"1": None, "2": None}


@pytest.mark.uncovered
async def test_a_key_that_a_row_has_left_unmarked_is_known_by_the_row(copied: Migration) -> None:
    await follow(copied)
    await change(
        copied,
        "ALTER TABLE line_messages DISABLE TRIGGER migrator_capture",
        "UPDATE line_messages SET created_at = created_at - interval '1 day' WHERE id < 'msg-4'",
    )
    report = await copied.verify()
    assert {each.verdict for each in report.differences} >= {Verdict.MISSING, Verdict.EXTRA}
    assert {each.cause for each in report.differences} == {Cause.NO_MARK}


@pytest.mark.uncovered
async def test_what_was_set_aside_is_known_under_all_keys_that_it_is_about(miyabi: Migration) -> None:
    await follow(miyabi)
    await change(
        miyabi,
        "SET session_replication_role = replica",
        "DELETE FROM agent_executions WHERE id > 'exec-a'",
        # As of a time when capture noted nothing but the primary key.
        "UPDATE migrator.marks SET old_key = jsonb_build_object('id', old_key -> 'id')",
        "TRUNCATE websocket_connections",
        "UPDATE migrator.marks SET reason = 'it cannot be'",
    )
    report = await miyabi.verify()
    assert {each.entity for each in report.differences} == {"AGENT_EXECUTION", "WEBSOCKET"}
    assert {(each.verdict, each.cause, each.reason) for each in report.differences} == {
        (Verdict.EXTRA, Cause.POISON, "it cannot be")
    }


async def test_a_change_is_known_by_a_unique_set_that_it_gave_up(
    narrow: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "_PAUSES", ())
    migration = by_value(narrow)
    await change(narrow, "INSERT INTO readings SELECT n, 'value ' || n FROM generate_series(1, 5) AS n")
    await follow(migration)
    await change(narrow, "UPDATE readings SET value = 'another' WHERE id = 1", "DELETE FROM readings WHERE id = 2")
    report = await migration.verify()
    assert report.differences == []
    assert {each.key["PK"] for each in report.moving} == {
        "READING#value 1",
        "READING#another",
        "READING#value 2",
    }


async def test_what_no_copy_has_begun_with_is_not_copied(narrow: Migration) -> None:
    await change(narrow, "INSERT INTO readings VALUES (1, 'one')")
    assert found(await narrow.verify()) == [(Verdict.MISSING, Cause.NOT_COPIED)]
    await narrow.copy()
    assert (await narrow.verify()).clean


@pytest.mark.parametrize(("seconds", "words"), [(4_000, "1:06:40 behind"), (-4_000, "1:06:40 ahead of")])
async def test_clocks_that_are_apart_are_named(
    narrow: Migration, monkeypatch: pytest.MonkeyPatch, seconds: int, words: str
) -> None:
    monkeypatch.setattr(clocks, "time", Clock(seconds))
    with pytest.raises(ConfigurationError, match=f"PostgreSQL's clock is {words} this machine's"):
        await narrow.verify()
    monkeypatch.setattr(clocks, "time", Clock(100))
    assert (await narrow.verify()).clean
