"""The record of tombstones in the target, which may go when no request of before can arrive any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from migrator.postgres.connection import Connection


async def record(connection: Connection, target: str, written: Mapping[str, int], at: datetime) -> None:
    """Record tombstones that were written to a table: key (a line of JSON) -> version."""
    with errors_explained("record tombstones", connection=connection, privileges=OWN_TABLES):
        await connection.execute(
            QUERIES["record_tombstones"], target, list(written), [str(each) for each in written.values()], at
        )


async def older_than(connection: Connection, target: str, seconds: float, *, limit: int) -> dict[str, str]:
    """Return tombstones of a table that have stood for so long: key -> version, the oldest first."""
    with errors_explained("read the tombstones", connection=connection, privileges=OWN_TABLES):
        found = await connection.fetch(QUERIES["old_tombstones"], target, seconds, limit)
    return {row["key"]: row["version"] for row in found}


async def forget(connection: Connection, target: str, purged: Mapping[str, str]) -> None:
    """Forget tombstones that are gone, or are none any more."""
    with errors_explained("forget tombstones", connection=connection, privileges=OWN_TABLES):
        await connection.execute(QUERIES["forget_tombstones"], target, list(purged), list(purged.values()))
