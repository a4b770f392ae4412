"""A copied source that is followed: capture and the phase in which relays run, changes, and relays that drain them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from migrator.engines.relay import Limits, Outcome, Silent, relay
from migrator.postgres import capture, pending, phases
from migrator.reconcile import Times

if TYPE_CHECKING:
    from tests.support.migration import Migration

CHANGES = [
    "UPDATE tasks SET status = 'completed', updated_at = now() WHERE id IN (SELECT id FROM tasks ORDER BY id LIMIT 40)",
    "DELETE FROM execution_logs WHERE id IN (SELECT id FROM execution_logs ORDER BY id LIMIT 60)",
    "INSERT INTO organizations (id, name, created_at, updated_at) VALUES ('org-new', 'Ünïcode #1', now(), now())",
    # Keys move: of one item of each row, and of the only one.
    "UPDATE agent_executions SET started_at = started_at + interval '1 hour' WHERE id < 'exec-2'",
    "UPDATE line_messages SET created_at = created_at - interval '1 day' WHERE id < 'msg-2'",
    # An index key goes, and comes.
    "UPDATE users SET org_id = NULL WHERE id IN (SELECT id FROM users WHERE org_id IS NOT NULL ORDER BY id LIMIT 5)",
]
"""One transaction each."""


async def follow(migration: Migration) -> None:
    """Copy, with capture on, and let the relay in."""
    async with migration.session() as session:
        for table, columns in capture.wanted([migration.model]).items():
            async with session.transaction():
                for statement in capture.create_statements(table, columns):
                    await session.execute(statement)
        await migration.copy()
        await phases.move(session, migration.model.name, [each.name for each in migration.model.entities], "dual_write")


async def change(migration: Migration, *statements: str) -> None:
    async with migration.session() as session:
        for statement in statements:
            await session.execute(statement)


async def drain(migration: Migration, *, batch: int = 50) -> Outcome:
    return await relay(
        migration.model,
        migration.model.entities,
        migration.stores,
        limits=Limits(batch, Times(request=2.0)),
        until_empty=True,
        stop=asyncio.Event(),
        listener=Silent(),
    )


async def waiting(migration: Migration) -> int:
    async with migration.session() as session:
        sources = [f"public.{entity.source_name}" for entity in migration.model.entities]
        return (await pending.backlog(session, sources)).waiting
