"""An application that is written to while its data moves, and whose every process is killed again and again.

The application, a copy and two relays run as processes, on a real PostgreSQL and, through a proxy that injects faults,
on a DynamoDB. Writers outside of them keep a ledger of what the application has acknowledged; at the end, PostgreSQL
and DynamoDB have to hold exactly that.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final

import asyncpg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from mappings.miyabi import MODEL as MIYABI
from migrator.sandbox.loading import load
from tests.support import renamed
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Cut, Delay, Late, Unprocessed, server_error, throttle
from tests.support.migration import Migration, reference_mix
from tests.support.story_ledger import Ledger
from tests.support.story_processes import Part, finished, free_port
from tests.support.story_rows import APPLICATION, TABLES, plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.faults import Fault
    from tests.support.stores import Database, DynamoDBStore
    from tests.support.story_rows import Values

ROWS: Final = 2_000
_SESSIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"
# A request that is late arrives within its life: the signature's time stands for how long it may be on its way.
SECONDS: Final = {
    "MIGRATOR_REQUEST_SECONDS": "10",
    "MIGRATOR_PAGE_SECONDS": "10",
    "MIGRATOR_SIGNATURE_SECONDS": "5",
    "MIGRATOR_CLOCK_SKEW_SECONDS": "0",
}
FAULTS: Final[list[tuple[Fault, float]]] = [
    (Unprocessed(0.3), 0.10),
    (throttle(), 0.04),
    (server_error(), 0.01),
    (server_error(applied=True), 0.01),
    (Cut("before"), 0.01),
    (Cut("after"), 0.01),
    (Late(1.5), 0.02),
    (Delay(0.1), 0.02),
]


async def all_rows(database: Database) -> dict[str, list[Values]]:
    """Every row of a source, by table."""
    engine = create_async_engine(database.url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        found = {
            name: [plain(row) for row in (await connection.execute(sa.select(table))).mappings()]
            for name, table in TABLES.items()
        }
    await engine.dispose()
    return found


@dataclass
class Figures:
    """What a story has seen."""

    seconds: float = 0.0
    drained: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    marks: int = 0
    items: int = 0
    tombstones: int = 0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def show(self, ledger: Ledger) -> str:
        """The figures, for people."""
        kills = ", ".join(f"{number} of {name}" for name, number in sorted(self.kills.items()))
        faults = ", ".join(f"{name} {number:,}" for name, number in sorted(self.faults.items()))
        commits = ledger.commits + ledger.taken_effect
        return (
            f"{self.seconds:.0f} s of load: {ledger.changed:,} rows changed in {commits:,} commits, "
            f"{ledger.changed / self.seconds:.0f} rows a second; {ledger.rolled_back:,} transactions rolled back\n"
            f"{ledger.commits:,} commits acknowledged; {ledger.unanswered:,} transactions without an answer, "
            f"{ledger.taken_effect:,} of which stood\n"
            f"{self.kills.total()} kills: {kills}; {self.copies:,} copies came to their end\n"
            f"{self.requests:,} requests, {self.faults.total():,} faults: {faults}\n"
            f"{self.marks:,} marks, all settled {self.drained:.1f} s after the load; "
            f"{self.items:,} items, {self.tombstones:,} tombstones, {len(ledger.deleted()):,} rows deleted"
        )


@dataclass
class Story:
    """The stores, what runs on them, and what is known of it."""

    migration: Migration
    proxy: FaultProxy
    random: Random
    ledger: Ledger = field(default_factory=Ledger)
    figures: Figures = field(default_factory=Figures)
    base: str = field(default_factory=lambda: f"http://127.0.0.1:{free_port()}")

    @property
    def environment(self) -> dict[str, str]:
        """What every process is told."""
        return {**self.migration.through(self.proxy.endpoint_url).variables, **SECONDS}

    @asynccontextmanager
    async def part(self, name: str, *command: str, more: str = "", ends: tuple[int, ...] = ()) -> AsyncIterator[Part]:
        """A process of the story, not yet started; nothing of it is left after the block."""
        part = Part(name, list(command), more.split(), self.environment, ends=ends)
        try:
            yield part
        finally:
            part.close()

    def application(self) -> AbstractAsyncContextManager[Part]:
        bind = self.base.removeprefix("http://")
        return self.part("application", "hypercorn", "tests.support.story_app:app", "--workers", "0", "--bind", bind)

    async def prepare(self) -> None:
        """The source with its rows and capture, the target with its table, in `dual_write`, nothing copied."""
        await finished(self.environment, "alembic", "upgrade", "0001")
        connection = await asyncpg.connect(self.migration.database.url)
        try:
            await load(connection, reference_mix(ROWS))
        finally:
            await connection.close()
        await finished(self.environment, "alembic", "upgrade", "head")
        await finished(self.environment, "migrator", "prepare", "--yes")
        await finished(self.environment, "migrator", "switch", "dual-write", "--yes")
        self.ledger.begin(await self.source())

    async def source(self) -> dict[str, list[Values]]:
        """Every row of the source, by table."""
        return await all_rows(self.migration.database)

    async def settled(self) -> None:
        """The marks are drained, and requests that are still late have arrived."""
        begun = time.monotonic()
        await finished(self.environment, "migrator", "relay", "--until-empty")
        self.figures.drained = time.monotonic() - begun
        await asyncio.to_thread(self.proxy.release)

    async def wrong(self) -> list[str]:
        """What of PostgreSQL is not as it was acknowledged, and what of DynamoDB is not as its rows ask for."""
        expected, actual = await self.migration.expected(), await self.migration.actual()
        wrong = self.ledger.differing(await self.source())
        wrong += [f"item {key}: lost" for key in expected.keys() - actual.keys()]
        wrong += [f"item {key}: alive" for key in actual.keys() - expected.keys()]
        wrong += [f"item {key}: old" for key in expected.keys() & actual.keys() if expected[key] != actual[key]]
        return sorted(wrong)

    async def gone(self) -> None:
        """Wait until PostgreSQL has ended the sessions of an application that was killed: what it had sent is done."""
        async with self.migration.session() as session:
            while await session.fetchval(_SESSIONS, APPLICATION):  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)

    async def count(self) -> None:
        """The figures that the stores and the proxy have."""
        async with self.migration.session() as session:
            self.figures.marks = await session.fetchval("SELECT last_value FROM migrator.marks_id_seq")
            assert await session.fetchval("SELECT count(*) FROM migrator.marks") == 0
        stored = await asyncio.to_thread(self.migration.items)
        self.figures.tombstones = sum("_del" in item for item in stored)
        self.figures.items = len(stored) - self.figures.tombstones
        self.figures.requests = self.proxy.seen.total()
        self.figures.faults = self.proxy.applied


@asynccontextmanager
async def story(database: Database, store: DynamoDBStore, seed: int) -> AsyncIterator[Story]:
    """Yield a story that is prepared, with nothing running yet and no faults."""
    model = renamed.renamed(MIYABI, store.table_name("story"))
    with FaultProxy(store.endpoint_url, seed=seed) as proxy:
        made = Story(Migration(model, renamed.__name__, database, store), proxy, Random(seed))  # noqa: S311 - no secret
        await made.prepare()
        yield made
