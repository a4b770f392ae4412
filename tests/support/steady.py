"""A steady load on the source: rows change, move to other keys, go and come back, while relays carry it over.

Half of the rows of some tables are changed again and again; the others are left alone, so that what is done to their
items past the toolkit is known.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from threading import Event
from typing import TYPE_CHECKING, Final

from migrator.mapping import row_key
from tests.support.corrupting import targets
from tests.support.story import SECONDS
from tests.support.story_processes import Part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from random import Random

    from migrator.postgres.connection import Connection
    from tests.support.corruption import Target
    from tests.support.migration import Migration

_ROWS_AT_ONCE: Final = 20
# `$1` are the keys of the rows. Some change values, some index keys, some the keys of items.
_CHANGES: Final = {
    "tasks": (
        "UPDATE tasks SET retry_count = coalesce(retry_count, 0) + 1, updated_at = now() WHERE id = ANY($1)",
        "UPDATE tasks SET status = (ARRAY['pending', 'running'])[1 + floor(random() * 2)] WHERE id = ANY($1)",
        "UPDATE tasks SET user_id = (SELECT id FROM users ORDER BY random() LIMIT 1) WHERE id = ANY($1)",
    ),
    "agent_executions": (
        "UPDATE agent_executions SET pr_number = floor(random() * 1000), quality_score = 99.25 WHERE id = ANY($1)",
        "UPDATE agent_executions SET started_at = started_at + interval '1.5 seconds' WHERE id = ANY($1)",
    ),
    "workflows": ("UPDATE workflows SET is_active = NOT coalesce(is_active, false) WHERE id = ANY($1)",),
}
_GONE: Final = (
    "WITH gone AS (DELETE FROM {0} WHERE id = ANY($1) RETURNING *) SELECT jsonb_agg(to_jsonb(gone)) FROM gone"
)
_BACK: Final = "INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, $1)"
_REMOVED: Final = ("line_messages", "execution_logs")
_WAITING: Final = "SELECT count(*) FROM (SELECT FROM migrator.marks LIMIT $1) AS waiting"
_MOST_WAITING: Final = 120
_POLL_SECONDS: Final = 0.02
_HOT: Final = "SELECT array_agg(id) FROM {0} WHERE hashtext(id) % 2 = 0"


class Load:
    """Writes until it is told to stop, as fast as relays follow, so that there is always something on its way.

    `changed` counts rows.

    Args:
        migration: where.
        random: what it draws from.
        rate: changed rows per second, at most.
    """

    def __init__(self, migration: Migration, random: Random, rate: float) -> None:
        self.changed = 0
        self.seconds = 0.0
        self.hot: dict[str, list[str]] = {}
        self._migration = migration
        self._random = random
        self._rate = rate

    async def choose(self) -> None:
        """Decides which rows it writes to."""
        async with self._migration.session() as session:
            for table in (*_CHANGES, *_REMOVED):
                self.hot[table] = await session.fetchval(_HOT.format(table))

    async def quiet(self) -> dict[str, list[Target]]:
        """The items of all other rows, by entity."""
        hot = {(table, (key,)) for table, keys in self.hot.items() for key in keys}
        return {
            name: [each for each in some if (each.entity.source_name, row_key(each.entity, each.row)) not in hot]
            for name, some in (await targets(self._migration)).items()
        }

    async def run(self, stop: Event) -> None:
        """Writes; what it has taken away is there again when it returns."""
        begun = time.monotonic()
        statements = [(table, each) for table, some in _CHANGES.items() for each in some]
        async with self._migration.session() as session:
            while not stop.is_set():
                for table, statement in self._random.sample(statements, len(statements)):
                    await session.execute(statement, self._drawn(table))
                for table in _REMOVED:
                    await self._remove_and_return(session, table)
                await asyncio.sleep(max(0.0, self.changed / self._rate - (time.monotonic() - begun)))
                while await session.fetchval(_WAITING, _MOST_WAITING) == _MOST_WAITING and not stop.is_set():  # noqa: ASYNC110 - marks tell nobody
                    await asyncio.sleep(_POLL_SECONDS)
                self.seconds = time.monotonic() - begun

    async def _remove_and_return(self, session: Connection, table: str) -> None:
        drawn = self._drawn(table)
        rows = await session.fetchval(_GONE.format(table), drawn)
        await asyncio.sleep(self._random.uniform(0, 0.05))
        await session.execute(_BACK.format(table), rows)
        self.changed += len(drawn)

    def _drawn(self, table: str) -> Sequence[str]:
        # Of a small table, fewer may be among them.
        rows = min(_ROWS_AT_ONCE, len(self.hot[table]))
        self.changed += rows
        return self._random.sample(self.hot[table], rows)


@asynccontextmanager
async def under(load: Load, migration: Migration) -> AsyncIterator[None]:
    """Write, and have a relay in a process of its own, while the block runs."""
    relay = Part("relay", ["migrator", "relay"], [], {**migration.variables, **SECONDS})
    stop = Event()
    try:
        await relay.start()
        async with asyncio.TaskGroup() as group:
            # In a thread: what reads both stores here would let it wait.
            group.create_task(asyncio.to_thread(asyncio.run, load.run(stop)))
            try:
                yield
            finally:
                stop.set()
        await relay.end()
    finally:
        relay.close()
