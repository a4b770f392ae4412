"""Entities whose items change together: who reads them in one transaction sees all of a change, or nothing of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from migrator.mapping import Model
from tests.support.faults import server_error
from tests.support.relaying import change, drain, follow, waiting

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.support.fault_proxy import FaultProxy
    from tests.support.migration import Migration

EXECUTION = "exec-atomic"
INSERT = f"""INSERT INTO agent_executions
    (id, repository_id, agent_type, status, started_at, created_at, updated_at)
    SELECT '{EXECUTION}', id, 'review', 'running', '2026-01-01', now(), now() FROM repositories LIMIT 1"""  # noqa: S608
STARTS = ("2026-01-01", "2026-01-02")


@pytest.fixture
async def atomic(miyabi: Migration) -> Migration:
    """Followed, with the items of an execution, of which there are two, changed together."""
    entities = [
        replace(entity, atomic=entity.name == "AGENT_EXECUTION", items=entity.items) for entity in miyabi.model.entities
    ]
    migration = replace(miyabi, model=Model(miyabi.model.name, entities))
    await follow(migration)
    await change(migration, INSERT)
    await drain(migration)
    return migration


@pytest.mark.uncovered
async def test_keys_move_in_one_request(atomic: Migration, proxy: FaultProxy) -> None:
    await change(
        atomic,
        f"UPDATE agent_executions SET started_at = '{STARTS[1]}' WHERE id = '{EXECUTION}'",  # noqa: S608 - a literal
    )
    before = proxy.seen.copy()
    outcome = await drain(atomic.through(proxy.endpoint_url))
    sent = proxy.seen - before
    # The item under its new key, the tombstone under the old one, and the lookup item.
    assert outcome.written == 3
    assert sent["TransactWriteItems"] == 1
    assert sent["PutItem"] == 0
    assert await atomic.differing() == []


@pytest.mark.uncovered
async def test_a_reader_never_sees_half_of_a_change(atomic: Migration) -> None:
    seen: set[tuple[str, ...]] = set()
    stop = asyncio.Event()

    def read(client: DynamoDBClient, repository: str) -> None:
        keys: list[dict[str, Any]] = [{"PK": {"S": f"EXEC#{EXECUTION}"}, "SK": {"S": "METADATA"}}]
        keys += [
            {"PK": {"S": f"REPO#{repository}"}, "SK": {"S": f"EXEC#{start}T00:00:00Z#{EXECUTION}"}} for start in STARTS
        ]
        gets = [{"Get": {"TableName": atomic.table.name, "Key": key}} for key in keys]
        answers = client.transact_get_items(TransactItems=gets)["Responses"]  # type: ignore[arg-type]
        items = [answer.get("Item", {}) for answer in answers]
        starts = [item["Data"]["M"]["startedAt"]["S"] for item in items if item and "_del" not in item]
        seen.add(tuple(sorted(starts)))

    async def reading() -> None:
        async with atomic.session() as session:
            repository = await session.fetchval("SELECT repository_id FROM agent_executions WHERE id = $1", EXECUTION)
        with atomic.boto3() as client:
            while not stop.is_set():
                await asyncio.to_thread(read, client, repository)

    reader = asyncio.create_task(reading())
    for number in range(6):
        start = STARTS[(number + 1) % 2]
        await change(
            atomic,
            f"UPDATE agent_executions SET started_at = '{start}' WHERE id = '{EXECUTION}'",  # noqa: S608 - a literal
        )
        await drain(atomic)
    stop.set()
    await reader
    whole = {(f"{start}T00:00:00Z",) * 2 for start in STARTS}
    assert seen <= whole
    assert seen


async def test_a_change_that_another_relay_overtakes_is_made_again(atomic: Migration, proxy: FaultProxy) -> None:
    await change(atomic, "UPDATE agent_executions SET status = 'failed', started_at = started_at + interval '1 day'")
    behind = atomic.through(proxy.endpoint_url)
    rule = proxy.inject(server_error(applied=True), on="TransactWriteItems", rate=0.2)
    await asyncio.gather(drain(behind, batch=20), drain(atomic, batch=20))
    assert rule.applied
    proxy.remove(rule)
    await drain(atomic)
    assert await waiting(atomic) == 0
    assert await atomic.differing() == []
