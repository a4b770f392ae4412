"""Tombstones are purged when no request of before can arrive any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from migrator.dynamodb import versions
from migrator.postgres import tombstones
from migrator.reconcile import ItemKey

if TYPE_CHECKING:
    from migrator.dynamodb.client import Client
    from migrator.dynamodb.pacing import Pace
    from migrator.mapping import Table
    from migrator.postgres.connection import Connection

_AT_ONCE: Final = 200


async def purge(connection: Connection, client: Client, table: Table, life: float, *, pace: Pace | None = None) -> int:
    """Purges tombstones of a table that have stood for a life; returns how many records of them were closed.

    A tombstone that something was written over meanwhile has another version, and stays.

    Args:
        connection: a session on the source.
        client: the target.
        table: the table.
        life: seconds (`Times.life`).
        pace: the write units per second to stay within.

    Raises:
        SourceError, TargetError: a store failed; what is left is purged another time.
    """
    closed = 0
    while old := await tombstones.older_than(connection, table.name, life, limit=_AT_ONCE):
        await asyncio.gather(
            *(
                versions.delete_where(
                    client, table.name, ItemKey(table.name, key.encode()).wire(table), version=version, pace=pace
                )
                for key, version in old.items()
            )
        )
        await tombstones.forget(connection, table.name, old)
        closed += len(old)
    return closed
