"""Verifications on record, the ledger of what they found, and what the gates make of both."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from migrator.postgres import divergences, proof, state, verifications
from migrator.postgres.connection import connect
from migrator.postgres.divergences import Sighting
from migrator.postgres.verifications import Ending, Result, Verification

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from migrator.postgres.connection import Connection
    from tests.support.stores import Database

WHOLE: dict[str, Any] = {"tables": ["users", "orders"], "whole": True, "sample_percent": None}
PART: dict[str, Any] = {"tables": ["users"], "whole": False, "sample_percent": 5.0}
HOUR = timedelta(hours=1)


@pytest.fixture
async def installed(session: Connection) -> Connection:
    await state.install(session)
    return session


@asynccontextmanager
async def another(database: Database) -> AsyncIterator[Connection]:
    """A session that the block may end."""
    connection = await connect(database.url, purpose="verify")
    yield connection
    await connection.close()


async def done(
    session: Connection, outcome: Ending = "equal", scope: dict[str, Any] = WHOLE, fingerprint: str = "m1"
) -> Verification:
    """A verification that has ended."""
    begun = await verifications.begin(session, "shop", fingerprint, scope)
    await verifications.finish(session, begun.id, Result(outcome, scope, {"rows": 3}, {"units": 1.5}))
    (latest,) = await verifications.latest(session, "shop")
    return latest


async def objections(session: Connection, max_age: timedelta = HOUR, fingerprint: str = "m1") -> list[str]:
    tables = ["users", "orders"]
    return await proof.objections(session, "shop", fingerprint=fingerprint, tables=tables, max_age=max_age)


async def test_verifications_are_on_record_the_latest_first(installed: Connection) -> None:
    assert await verifications.latest(installed, "shop") == []
    different, equal = await done(installed, "different", PART), await done(installed)
    assert await verifications.latest(installed, "shop", limit=5) == [equal, different]
    assert (equal.clean, equal.whole, equal.scope, equal.counts) == (True, True, WHOLE, {"rows": 3})
    assert (different.clean, different.whole, different.cost) == (False, False, {"units": 1.5})
    assert equal.duration is not None
    assert equal.duration >= timedelta(0)
    assert await verifications.latest(installed, "other") == []


async def test_one_runs_as_long_as_its_session_does(database: Database, installed: Connection) -> None:
    async with another(database) as running:
        begun = await verifications.begin(running, "shop", "m1", WHOLE)
        (seen,) = await verifications.latest(installed, "shop")
        assert (seen.outcome, begun.outcome, seen.finished_at, seen.duration) == ("running", "running", None, None)
    (seen,) = await verifications.latest(installed, "shop")
    assert (seen.outcome, seen.finished_at) == ("interrupted", None)
    assert await verifications.latest(installed, "shop", judged=True) == []


async def test_a_failure_says_why(installed: Connection) -> None:
    begun = await verifications.begin(installed, "shop", "m1", WHOLE)
    await verifications.finish(installed, begun.id, Result("failed", WHOLE, {}, {}, "the table \0 is gone"))
    (seen,) = await verifications.latest(installed, "shop")
    assert (seen.outcome, seen.failure) == ("failed", "the table \\u0000 is gone")
    earlier = seen.started_at - HOUR
    await verifications.record_failure(installed, "shop", "m1", earlier, PART, "the source was away")
    (seen,) = await verifications.latest(installed, "shop")
    assert (seen.outcome, seen.failure, seen.started_at) == ("failed", "the source was away", earlier)
    await verifications.name_report(installed, seen.id, "reports/1.html")
    assert (await verifications.latest(installed, "shop"))[0].report == "reports/1.html"


async def test_old_verifications_are_forgotten_but_the_latest(installed: Connection) -> None:
    for _ in range(3):
        await done(installed)
    await installed.execute("UPDATE migrator.verifications SET finished_at = finished_at - interval '8 days'")
    await verifications.forget(installed, 9)
    assert len(await verifications.latest(installed, "shop", limit=9)) == 3
    await verifications.forget(installed, 7)
    assert len(await verifications.latest(installed, "shop", limit=9)) == 1


def missing(number: str, entity: str | None = "USER") -> Sighting:
    return Sighting("missing", "shop-table", {"PK": f"USER#{number}", "SK": "\0é"}, entity)


async def test_a_divergence_is_one_row_from_its_first_sight_to_its_last(installed: Connection) -> None:
    first = await done(installed, "different")
    changed = Sighting("different", "shop-table", {"PK": "x" * 2048, "SK": "y" * 1024}, "USER", ["Data.\0"], None)
    await divergences.record(installed, "shop", first.id, [missing("1"), missing("1"), changed])
    second = await done(installed, "different")
    caused = Sighting("different", "shop-table", changed.key, "USER", ["Data.a", "Data.b"], "foreign writer")
    await divergences.record(installed, "shop", second.id, [caused])
    await divergences.close(installed, "shop", second.id, ["USER"], ["shop-table"])
    seen, gone = await divergences.latest(installed, "shop", limit=10)
    assert (seen.key, seen.attributes, seen.cause) == (changed.key, ["Data.a", "Data.b"], "foreign writer")
    assert (seen.times, seen.first_verification, seen.last_verification) == (2, first.id, second.id)
    assert seen.repaired_at is None
    assert (gone.verdict, gone.key, gone.times) == ("missing", missing("1").key, 1)
    assert gone.repaired_at is not None
    assert gone.repaired_at >= gone.last_seen
    assert await divergences.latest(installed, "shop", limit=10, only_open=True) == [seen]
    assert await divergences.count_open(installed, "shop") == 1
    third = await done(installed, "different")
    await divergences.record(installed, "shop", third.id, [missing("1")])
    (again, _) = await divergences.latest(installed, "shop", limit=10)
    assert (again.times, again.first_seen, again.repaired_at) == (2, gone.first_seen, None)


async def test_what_was_not_looked_at_stays_open(installed: Connection) -> None:
    first = await done(installed, "different")
    await divergences.record(installed, "shop", first.id, [missing("1"), missing("2", "ORDER"), missing("3", None)])
    second = await done(installed, scope=PART)
    await divergences.close(installed, "shop", second.id, ["USER"], [])
    left = await divergences.latest(installed, "shop", limit=10, only_open=True)
    assert [each.entity for each in left] == ["ORDER", None]
    # A verification that began before another one's find closes nothing of it.
    await divergences.close(installed, "shop", first.id, ["ORDER"], ["shop-table"])
    assert await divergences.count_open(installed, "shop") == 2
    third = await done(installed)
    await divergences.close(installed, "shop", third.id, ["ORDER"], ["other-table"])
    assert [each.key["PK"] for each in await divergences.latest(installed, "shop", limit=9, only_open=True)] == [
        "USER#3"
    ]


async def test_the_ledger_is_bounded(installed: Connection) -> None:
    first = await done(installed, "different")
    await divergences.record(installed, "shop", first.id, [missing(str(number)) for number in range(10)])
    second = await done(installed, "different")
    await divergences.record(installed, "shop", second.id, [missing(str(number)) for number in range(4, 10)])
    await divergences.close(installed, "shop", second.id, ["USER"], [])
    await divergences.forget(installed, 1, kept=8)
    left = {each.key["PK"] for each in await divergences.latest(installed, "shop", limit=99)}
    assert len(left) == 8
    assert left > {f"USER#{number}" for number in range(4, 10)}
    await installed.execute("UPDATE migrator.divergences SET repaired_at = repaired_at - interval '2 days'")
    await divergences.forget(installed, 1)
    assert len(await divergences.latest(installed, "shop", limit=99)) == 6


async def test_the_gates_take_what_is_whole_clean_fresh_and_of_this_mapping(installed: Connection) -> None:
    assert await objections(installed) == ["nothing has been verified as a whole yet"]
    await done(installed, scope=PART)
    assert await objections(installed) == ["nothing has been verified as a whole yet"]
    await done(installed)
    assert await objections(installed) == []
    begun = await verifications.begin(installed, "shop", "m1", WHOLE)
    await verifications.finish(installed, begun.id, Result("failed", WHOLE, {}, {}, "away"))
    assert await objections(installed) == []
    (other,) = await objections(installed, fingerprint="m2")
    assert other.endswith("was made under another mapping")
    await installed.execute("UPDATE migrator.verifications SET started_at = started_at - interval '2 hours'")
    (old,) = await objections(installed)
    assert old == "the last verification of everything is 2:00:00 old, and 1:00:00 is the limit"
    assert await objections(installed, max_age=3 * HOUR) == []


async def test_what_happened_since_refutes_a_proof(installed: Connection) -> None:
    await done(installed)
    differing = await done(installed, "different", PART)
    (later,) = await objections(installed)
    assert later.startswith("a later verification (")
    await divergences.record(installed, "shop", differing.id, [missing("1")])
    assert (await objections(installed))[1:] == ["1 divergences are open"]
    whole = await done(installed)
    assert await objections(installed) == ["1 divergences are open"]
    await divergences.close(installed, "shop", whole.id, ["USER"], [])
    assert await objections(installed) == []
    await installed.execute(
        "INSERT INTO migrator.copies (model, source, mapping_fingerprint, schema_fingerprint, followed, started_at) "
        "VALUES ('shop', 'public.users', 'm1', 's1', false, clock_timestamp())"
    )
    assert await objections(installed) == ["public.users copied since the last verification of everything"]
    await done(installed, scope={**WHOLE, "tables": ["users"]})
    (without,) = await objections(installed)
    assert without.endswith("did not know orders")
    await done(installed, "different")
    (found,) = await objections(installed)
    assert found.endswith("found differences")


async def test_records_of_an_earlier_release_are_kept(database: Database, session: Connection) -> None:
    statements = state.install_statement()
    earlier = statements.split("IF installed < 4 THEN", 1)[0] + "END\n$install$"
    await session.execute(earlier)
    await session.execute(
        """
        INSERT INTO migrator.verifications (model, mapping_fingerprint, started_at, finished_at, scope, counts, clean)
        SELECT 'shop', 'm1', now(), now(), '{"tables": ["users"]}', '{}', clean FROM unnest('{f,t}'::bool[]) AS clean
        """
    )
    async with another(database) as connection:
        assert await state.install(connection) is True
        found = await verifications.latest(connection, "shop", limit=9)
    assert [each.outcome for each in found] == ["equal", "different"]
    assert not any(each.whole for each in found)
