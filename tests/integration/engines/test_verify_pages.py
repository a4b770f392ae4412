"""How many rows a verification holds at once follows from how large they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.engines.verify.findings import Report
from migrator.engines.verify.reading.passes import SourcePass
from migrator.engines.verify.reading.spill import Spill, Spiller
from migrator.postgres import catalog
from migrator.postgres.connection import pool
from migrator.postgres.identifiers import TableName
from migrator.postgres.rows import RowSource

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection
    from migrator.postgres.rows import Key, Page
    from tests.support.migration import Migration

LARGE = 300_000
HELD = 16_000_000


class Watched(RowSource):
    """A source that notes how many bytes the names in each of its pages are."""

    held: tuple[int, ...] = ()

    async def page(self, connection: Connection, after: Key | None, until: Key | None, limit: int) -> Page:
        page = await super().page(connection, after, until, limit)
        self.held += (sum(len(record["name"]) for record in page.records),)
        return page


async def test_a_page_of_large_rows_holds_few(miyabi: Migration) -> None:
    async with miyabi.session() as session:
        await session.execute(
            "INSERT INTO organizations (id, name, created_at, updated_at)"
            " SELECT 'large-' || n, repeat('x', $1), now(), now() FROM generate_series(1000, 1149) AS n",
            LARGE,
        )
        live = await catalog.require(session, TableName("organizations"))
    entity = miyabi.entity("ORGANIZATION")
    source, report = Watched(live, entity.projection), Report()
    async with pool(miyabi.stores.database_url, purpose="verify", size=1) as sessions:
        with Spill(1000) as spill:
            reading = SourcePass(entity, source, report, Spiller(spill.partitions), 0)
            await reading.range(sessions, None, None, lambda _: None)
    assert sum(source.held) > 150 * LARGE
    assert max(source.held) < HELD
    assert report.rows["organizations"] == len([*await miyabi.rows(entity)])
