"""What a copy leaves in the target is what the mapping says of every row, whatever the copy is made of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from migrator.engines import copy
from migrator.errors import ConfigurationError, LockedError, UsageError
from migrator.mapping import NULL, Model, forward
from migrator.postgres.checkpoints import progress
from migrator.postgres.locks import lock
from tests.integration.engines.conftest import TOTAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.postgres.checkpoints import Counts
    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

READINGS = 21_000


@dataclass
class Heard(copy.Silent):
    """A listener that remembers."""

    estimates: dict[str, int] = field(default_factory=dict)
    known: dict[str, Counts] = field(default_factory=dict)
    pages: list[copy.Settled] = field(default_factory=list)

    def began(self, estimates: Mapping[str, int], settled: Mapping[str, Counts]) -> None:
        self.estimates, self.known = dict(estimates), dict(settled)

    def settled(self, page: copy.Settled) -> None:
        self.pages.append(page)


@pytest.mark.uncovered
async def test_every_row_becomes_its_items(miyabi: Migration) -> None:
    heard = Heard()
    outcome = await miyabi.copy(listener=heard)
    expected = await miyabi.expected()
    assert await miyabi.actual() == expected
    assert (outcome.total.rows, outcome.total.items) == (TOTAL, len(expected))
    assert sum(page.counts.rows for page in heard.pages) == TOTAL
    assert sum(heard.estimates.values()) == TOTAL
    assert not outcome.followed


@pytest.mark.uncovered
@pytest.mark.parametrize("workers", [1, 2])
async def test_write_units_stay_under_the_limit(miyabi: Migration, workers: int) -> None:
    """Two processes share the limit, and write the same items as one."""
    limit, heard = 4_000.0, Heard()
    outcome = await miyabi.copy(limits=copy.Limits(workers=workers, max_wcu=limit), listener=heard)
    assert outcome.total.rows == sum(page.counts.rows for page in heard.pages) == TOTAL
    # Each item is a unit at least, and one more for the index it is in.
    assert outcome.tally.consumed > outcome.total.items
    # What is in the bucket at the start comes on top: a tenth of a second's units.
    assert outcome.tally.consumed <= limit * (outcome.seconds + 0.2)
    assert await miyabi.actual() == await miyabi.expected()


@pytest.mark.uncovered
async def test_a_finished_copy_sends_nothing_more(behind_proxy: Migration, proxy: FaultProxy) -> None:
    await behind_proxy.copy()
    sent, heard = proxy.seen["BatchWriteItem"], Heard()
    outcome = await behind_proxy.copy(listener=heard)
    assert proxy.seen["BatchWriteItem"] == sent
    assert (outcome.total.rows, outcome.tally.requests) == (0, 0)
    assert sum(counts.rows for counts in heard.known.values()) == TOTAL
    plans = await copy.plan(behind_proxy.model, behind_proxy.model.entities, behind_proxy.stores)
    assert all(plan.finished for plan in plans)


@pytest.mark.uncovered
async def test_restart_begins_anew(miyabi: Migration) -> None:
    await miyabi.copy("users", "tasks")
    lost, *others = miyabi.items()
    with miyabi.boto3() as client:
        key = {attribute.name: lost[attribute.name] for attribute in miyabi.table.key_attributes}
        client.delete_item(TableName=miyabi.table.name, Key=key)
    await miyabi.copy("users", "tasks")
    assert await miyabi.actual() == miyabi.normal(others)
    await miyabi.copy("users", "tasks", restart=True)
    assert await miyabi.actual() == miyabi.normal([lost, *others])


async def test_only_the_named_tables_are_copied(miyabi: Migration) -> None:
    outcome = await miyabi.copy("users", "repositories")
    assert set(outcome.counts) == {"users", "repositories"}
    entities = [miyabi.entity("USER"), miyabi.entity("REPOSITORY")]
    items = [item for entity in entities for row in await miyabi.rows(entity) for item in forward(entity, row)]
    assert await miyabi.actual() == miyabi.normal(items)
    await miyabi.copy()
    assert await miyabi.actual() == await miyabi.expected()
    with pytest.raises(UsageError, match="user: no source table of model miyabi"):
        await miyabi.copy("user")


@pytest.mark.uncovered
async def test_rows_past_their_expiry_are_left_out(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        await session.execute(
            "UPDATE line_messages SET created_at = created_at - interval '40 days' "
            "WHERE id IN (SELECT id FROM line_messages ORDER BY id LIMIT 7)"
        )
        await session.execute("UPDATE websocket_connections SET ttl = 1500000000")
        connections = await session.fetchval("SELECT count(*) FROM websocket_connections")
    outcome = await miyabi.copy()
    assert outcome.counts["line_messages"].expired == 7
    assert outcome.counts["websocket_connections"].expired == connections
    assert outcome.counts["websocket_connections"].items == 0
    assert await miyabi.actual() == await miyabi.expected()


async def test_empty_tables_are_copied_at_once(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        tables = ", ".join(entity.source_name for entity in miyabi.model.entities)
        await session.execute(f"TRUNCATE {tables}")
    outcome = await miyabi.copy()
    assert outcome.total.rows == 0
    assert miyabi.items() == []
    async with miyabi.session() as session:
        assert all(each.copy.finished_at is not None for each in await progress(session, "miyabi"))


async def test_a_table_of_one_row_is_copied_by_two_workers(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        await session.execute("DELETE FROM workflows WHERE id <> (SELECT min(id) FROM workflows)")
    outcome = await miyabi.copy("workflows", limits=copy.Limits(workers=2))
    assert outcome.counts["workflows"].rows == 1
    assert len(miyabi.items()) == 1


@pytest.mark.uncovered
async def test_a_large_table_is_copied_in_ranges(narrow: Migration) -> None:
    async with narrow.session() as session:
        # Dense and sparse keys, negative ones too: ranges hold about as many rows, not as many numbers.
        await session.execute(
            "INSERT INTO readings SELECT -n * n, 'value ' || n FROM generate_series(1, $1::int) AS n",
            READINGS,
        )
        await session.execute("ANALYZE readings")
    outcome = await narrow.copy()
    assert outcome.total.rows == READINGS
    async with narrow.session() as session:
        found = await session.fetch("SELECT row_count AS rows FROM migrator.copy_ranges")
    assert len(found) > 1
    assert sum(each["rows"] for each in found) == READINGS
    assert max(each["rows"] for each in found) < 1.1 * READINGS / len(found)
    assert await narrow.actual() == await narrow.expected()


@pytest.mark.uncovered
async def test_progress_made_under_another_mapping_is_refused(miyabi: Migration) -> None:
    await miyabi.copy("tasks", "users")
    task = replace(miyabi.entity("TASK"), null=NULL)
    entities = [task if entity.name == task.name else entity for entity in miyabi.model.entities]
    changed = replace(miyabi, model=Model("miyabi", entities))
    with pytest.raises(LockedError, match=r"public\.tasks was made under another mapping$") as caught:
        await changed.copy("tasks")
    assert caught.value.next_step == "migrate copy --restart tasks"
    await changed.copy("users")
    outcome = await changed.copy("tasks", restart=True)
    assert outcome.total.rows == outcome.total.items > 0
    items = [
        item
        for entity in (task, miyabi.entity("USER"))
        for row in await miyabi.rows(entity)
        for item in forward(entity, row)
    ]
    assert await miyabi.actual() == miyabi.normal(items)


async def test_progress_made_under_another_source_schema_is_refused(miyabi: Migration) -> None:
    await miyabi.copy("agent_executions")
    async with miyabi.session() as session:
        await session.execute("ALTER TABLE agent_executions ALTER COLUMN quality_score TYPE numeric(9, 4)")
    with pytest.raises(LockedError, match=r"was made under another source schema$"):
        await miyabi.copy("agent_executions")
    await miyabi.copy("agent_executions", restart=True)


async def test_a_source_that_the_mapping_does_not_fit_is_refused(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        await session.execute("ALTER TABLE tasks DROP COLUMN priority")
    with pytest.raises(ConfigurationError, match=r"TASK declares: column priority of public\.tasks does not exist"):
        await miyabi.copy()
    assert miyabi.items() == []


async def test_two_copies_at_once_are_refused(miyabi: Migration) -> None:
    async with miyabi.session() as session, lock(session, "copy:miyabi"):
        with pytest.raises(LockedError, match="the lock copy:miyabi is held by the session migrator test"):
            await miyabi.copy()


async def test_a_source_without_the_toolkits_schema_is_refused(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        await session.execute("DROP SCHEMA migrator CASCADE")
    with pytest.raises(ConfigurationError, match="is not installed") as caught:
        await miyabi.copy()
    assert caught.value.next_step == "migrate prepare"
