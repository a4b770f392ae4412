"""Access patterns as a witness: DynamoDB's answers against those of SQL, whatever stands in the table."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from migrator.engines.verify.judging import judge
from migrator.engines.verify.patterns import asking
from migrator.mapping import Model, forward
from tests.support.corrupting import apply
from tests.support.relaying import change, drain, follow

if TYPE_CHECKING:
    from migrator.engines.verify import Parity, Report
    from migrator.mapping import WireItem
    from tests.support.migration import Migration

pytestmark = pytest.mark.uncovered


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs is looked at again, but not for as long."""
    monkeypatch.setattr(asking, "PAUSES", (0.05,) * len(asking.PAUSES))


async def items_of(migration: Migration, name: str, number: int = 0) -> list[WireItem]:
    return [forward(migration.entity(name), row)[number] for row in await migration.rows(migration.entity(name))]


def differing(report: Report) -> dict[str, list[str]]:
    return {parity.pattern: parity.differing for parity in report.parities if parity.differs}


def parity(report: Report, pattern: str) -> Parity:
    return next(each for each in report.parities if each.pattern == pattern)


async def test_every_pattern_answers_as_its_sql_does(copied: Migration) -> None:
    report = await copied.verify(patterns=5)
    assert [each.pattern for each in report.parities] == [pattern.id for pattern in copied.model.patterns]
    for each in report.parities:
        assert each.asked >= 2
        assert (each.equal, each.unsettled, each.differing, each.reason) == (each.asked, 0, [], None)
    assert report.clean


async def test_all_sets_of_values_are_asked(copied: Migration) -> None:
    report = await copied.verify("users", "organizations", "tasks", patterns=None)
    rows = {name: len(await copied.rows(copied.entity(name))) for name in ("USER", "ORGANIZATION", "TASK")}
    assert report.clean
    # Beside those of rows, one that is made up for each of the first two rows.
    assert parity(report, "AP1").asked == rows["USER"] + 2
    assert parity(report, "organization").asked == rows["ORGANIZATION"] + min(rows["ORGANIZATION"], 2)
    statuses = {row["status"] for row in await copied.rows(copied.entity("TASK"))}
    assert parity(report, "tasks-by-status").asked == len(statuses) + 2
    assert {each.pattern for each in report.parities} == {
        pattern.id for pattern in copied.model.patterns if pattern.entity.name in rows
    }


async def test_none_is_asked_where_none_is_wanted(copied: Migration) -> None:
    report = await copied.verify("organizations", patterns=0)
    (each,) = report.parities
    assert (each.asked, each.reason) == (0, "it was not asked for")
    assert report.clean


async def test_a_table_without_rows_has_nothing_to_ask(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        await session.execute("TRUNCATE task_dependencies")
    report = await miyabi.verify("task_dependencies", patterns=5)
    assert [(each.asked, each.reason) for each in report.parities] == [(0, "no row has values to ask with")]


async def test_an_empty_target_answers_nothing(miyabi: Migration) -> None:
    await change(miyabi, "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('b', 'B', now(), now())")
    report = await miyabi.verify("organizations", "task_dependencies", patterns=3)
    for each in report.parities:
        # What is made up has no answer in either store.
        assert (each.equal, each.unsettled) == (2, 0)
        assert each.differs >= 1
    assert all("missing (" in text for texts in differing(report).values() for text in texts)
    assert not report.clean


async def test_tombstones_and_expired_items_are_paged_over(copied: Migration) -> None:
    log, *_ = await items_of(copied, "EXECUTION_LOG")
    execution = log["PK"]["S"].removeprefix("EXEC#")
    strays = [{**log, "SK": {"S": f"LOG#2001-01-01T00:00:{n:02}Z#{n}"}, "TTL": {"N": "1500000000"}} for n in range(9)]
    gone = [
        {"PK": log["PK"], "SK": {"S": f"LOG#2002-01-01T00:00:{n:02}Z#{n}"}, "_del": {"BOOL": True}} for n in range(9)
    ]
    apply(copied, put=[*strays, *gone], delete=[])
    report = await copied.verify("execution_logs", patterns=None)
    assert parity(report, "execution-logs").equal == parity(report, "execution-logs").asked
    stray = {**strays[0], "TTL": log["TTL"]}
    apply(copied, put=[stray], delete=[])
    report = await copied.verify("execution_logs", patterns=None)
    (text,) = parity(report, "execution-logs").differing
    assert text.startswith(f"execution_id={execution}: extra (")


async def test_a_row_past_its_ttl_is_in_neither_answer(copied: Migration) -> None:
    async with copied.session() as session:
        await session.execute(
            "UPDATE websocket_connections SET ttl = 1500000000 WHERE id IN "
            "(SELECT id FROM websocket_connections ORDER BY id LIMIT 3)"
        )
    # The items still say that they are not past it.
    report = await copied.verify("websocket_connections", patterns=None)
    assert differing(report) == {}
    assert report.clean


async def test_each_way_to_differ_is_named(copied: Migration) -> None:
    async with copied.session() as session:
        most = await session.fetchval(
            "SELECT repository_id FROM agent_executions GROUP BY 1 HAVING count(*) > 3 ORDER BY count(*) DESC LIMIT 1"
        )
    chosen = [pattern for pattern in copied.model.patterns if pattern.id in {"AP3", "AP5"}]
    asked = replace(copied, model=Model(copied.model.name, copied.model.entities, chosen))
    mine = [item for item in await items_of(copied, "AGENT_EXECUTION") if item["PK"]["S"] == f"REPO#{most}"]
    one, other, third, *_ = sorted(mine, key=lambda item: item["SK"]["S"])

    async def found(*, put: list[WireItem], delete: list[WireItem] | None = None) -> dict[str, list[str]]:
        apply(copied, put=put, delete=delete or [])
        report = await asked.verify("agent_executions", patterns=None)
        apply(copied, put=[one, other, third], delete=[])
        return differing(report)

    def named(item: WireItem) -> str:
        return f"id={item['SK']['S'].rpartition('#')[2]}, repository_id={most}"

    key = {name: other[name] for name in ("PK", "SK")}
    texts = await found(put=[], delete=[key])
    assert texts["AP3"] == [f"repository_id={most}: missing ({named(other)})"]
    assert len(texts["AP5"]) == 1

    changed = deepcopy(other)
    changed["Data"]["M"]["issueNumber"] = {"N": "4711"}
    texts = await found(put=[changed])
    assert texts["AP3"] == [f"repository_id={most}: different in issue_number ({named(other)})"]

    late = {**other, "GSI1SK": {"S": "2999-01-01T00:00:00Z"}}
    texts = await found(put=[late])
    assert texts.keys() == {"AP5"}
    assert "out of order (" in texts["AP5"][0]

    elsewhere = {**other, "GSI1PK": {"S": "STATUS#nowhere"}}
    texts = await found(put=[elsewhere])
    assert texts.keys() == {"AP5"}
    assert "missing (" in texts["AP5"][0]

    malformed = deepcopy(other)
    malformed["Data"]["M"]["issueNumber"] = {"S": "4711"}
    texts = await found(put=[malformed])
    assert "not led back at" in texts["AP3"][0]

    twice = {**other, "SK": {"S": other["SK"]["S"].replace("EXEC#2", "EXEC#1", 1)}}
    texts = await found(put=[twice])
    assert texts["AP3"][0].startswith(f"repository_id={most}: extra ({named(other)})")


async def test_long_answers_are_compared_as_far_as_they_are_read(
    copied: Migration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LONGEST_ANSWER", 7)
    report = await copied.verify(patterns=6)
    assert report.clean
    newest = max(await items_of(copied, "AGENT_EXECUTION"), key=lambda item: item["GSI1SK"]["S"])
    apply(copied, put=[], delete=[{name: newest[name] for name in ("PK", "SK")}])
    report = await copied.verify(patterns=6)
    assert len(differing(report)["AP5"]) == 1


async def test_what_is_on_its_way_is_no_difference(miyabi: Migration, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows have changed and their marks wait, longer than anybody looks: nothing is said of them, until they arrive."""
    monkeypatch.setattr(judge, "_PAUSES", (0.1, 0.1))
    await follow(miyabi)
    async with miyabi.session() as session:
        await session.execute(
            "UPDATE tasks SET retry_count = 4711 WHERE id IN (SELECT id FROM tasks ORDER BY created_at LIMIT 20)"
        )
    report = await miyabi.verify("tasks", patterns=5)
    assert differing(report) == {}
    assert parity(report, "tasks-by-status").unsettled > 0
    await drain(miyabi)
    report = await miyabi.verify("tasks", patterns=5)
    assert report.clean
    assert [each.unsettled for each in report.parities] == [0, 0]
