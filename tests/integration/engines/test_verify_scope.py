"""A verification of a part: it reads less, finds what is wrong in the part, and says what it has not looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from migrator.engines import verify
from migrator.engines.stores import chosen
from migrator.engines.verify import Verdict
from migrator.errors import UsageError
from tests.integration.engines.test_verify import items_of, put
from tests.support.corrupting import apply
from tests.support.relaying import change

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.migration import Migration


async def part_of(
    migration: Migration,
    *tables: str,
    notices: list[str] | None = None,
    **scope: Any,  # noqa: ANN401 - as `Scope` has them
) -> verify.Report:
    return await verify.verify(
        migration.model,
        chosen(migration.model, tables),
        migration.stores,
        mappings=migration.mappings,
        scope=verify.Scope(patterns=0, **scope),
        notice=(notices if notices is not None else []).append,
    )


@pytest.fixture
async def readings(narrow: Migration) -> Migration:
    """Two thousand rows, copied; of a size at which it costs less to read some of them than all."""
    rows = "INSERT INTO readings SELECT n, rpad('value ' || n, 1000, '.') FROM generate_series(1, 2000) AS n"
    await change(narrow, rows, "ANALYZE")
    await narrow.copy()
    return narrow


@pytest.mark.uncovered
async def test_a_sample_reads_less_and_says_what_it_is_worth(readings: Migration) -> None:
    whole = await part_of(readings)
    notices: list[str] = []
    report = await part_of(readings, sample=2, notices=notices)
    assert report.clean
    assert 10 < report.rows["readings"] < 90
    assert 0 < report.read_units < whole.read_units
    assert report.scope.sample_percent == 2
    assert report.scope.confidence is not None
    assert f"{report.rows['readings']} of about 2,000 rows were looked at and none differs" in report.scope.confidence
    assert "with 95% confidence, no more than" in report.scope.confidence
    assert report.scope.not_verified == ["The rows that were not drawn, and extra items outside 2 % of the target."]
    assert notices[-1].startswith("reading takes about ")
    assert report.cost.units == report.read_units
    assert report.cost.dollars == pytest.approx(report.read_units * 0.125e-6)


@pytest.mark.uncovered
async def test_a_sample_finds_what_is_wrong_in_it(readings: Migration) -> None:
    items = await items_of(readings, "READING")
    apply(readings, put=[], delete=[{"PK": item["PK"]} for item in items[::2]])
    put(readings, *({**item, "PK": {"S": f"READING#{10**9 + number}"}} for number, item in enumerate(items)))
    report = await part_of(readings, sample=3)
    assert report.count(Verdict.MISSING) > 0
    assert report.count(Verdict.EXTRA) > 0
    assert report.suspects == len(report.differences)
    assert report.scope.confidence is not None
    assert "in all, about" in report.scope.confidence


async def test_a_sample_that_would_cost_more_than_all_is_all(readings: Migration) -> None:
    notices: list[str] = []
    report = await part_of(readings, sample=90, notices=notices)
    assert report.rows == {"readings": 2_000}
    assert report.scope.sample_percent is None
    assert "everything is compared" in notices[0]


async def test_only_what_has_changed_since(copied: Migration) -> None:
    before = datetime.now(UTC)
    first, second, *_ = await copied.rows(copied.entity("USER"))
    await change(
        copied,
        f"UPDATE users SET name = 'changed', updated_at = now() WHERE id = '{first['id']}'",  # noqa: S608 - its own id
        f"UPDATE users SET name = 'changed' WHERE id = '{second['id']}'",  # noqa: S608 - its own id
    )
    report = await part_of(copied, "users", since=before)
    assert report.rows == {"users": 1}
    (difference,) = {each.row_key for each in report.differences}
    assert difference == (str(first["id"]),)
    assert report.scope.since == before.isoformat()
    assert len(report.scope.not_verified) == 2
    assert (await part_of(copied, "users", since=timedelta(days=10_000))).rows["users"] > 2


async def test_only_what_has_changed_since_the_last_one(copied: Migration) -> None:
    with pytest.raises(UsageError, match="no verification of miyabi to follow"):
        await part_of(copied, "users", since="last")
    assert (await part_of(copied)).clean
    report = await part_of(copied, "users", since="last")
    assert report.rows == {"users": 0}
    assert report.clean


async def test_what_does_not_say_when_it_changed_is_refused(readings: Migration) -> None:
    with pytest.raises(UsageError, match="readings has no column updated_at that says when") as caught:
        await part_of(readings, since=timedelta(hours=1))
    assert "nothing in its rows says when they were changed" in str(caught.value.next_step)


async def test_a_range_of_keys(readings: Migration, tmp_path: Path) -> None:
    apply(readings, put=[], delete=[{"PK": {"S": f"READING#{number}"}} for number in (10, 11, 20, 21)])
    report = await part_of(readings, "readings", after=("10",), until=("20",), work_dir=tmp_path)
    assert report.rows == {"readings": 10}
    assert {each.row_key for each in report.differences} == {("11",), ("20",)}
    assert report.scope.key_range == "after 10 and up to 20"
    assert report.read_units < 40
    with pytest.raises(UsageError, match=r"cannot be read as \(id bigint\)"):
        await part_of(readings, "readings", after=("ten",))


@pytest.mark.uncovered
async def test_a_range_is_of_one_table_and_excludes_a_sample(copied: Migration) -> None:
    with pytest.raises(UsageError, match="a range of keys is of one table"):
        await part_of(copied, "users", "tasks", after=("1",))
    with pytest.raises(UsageError, match="each say which rows to look at"):
        await part_of(copied, "users", after=("1",), sample=1)
