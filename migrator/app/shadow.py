"""Reads repeated in both stores: what an application would be told by each, compared as values."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from migrator.dynamodb import answers as dynamodb
from migrator.errors import UsageError
from migrator.mapping import living
from migrator.mapping.parity import Answer, Comparison
from migrator.postgres import answers, catalog
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.reconcile import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.app.limits import ReadLimits
    from migrator.app.question import Question
    from migrator.app.read_counts import Verdict
    from migrator.dynamodb.client import Client
    from migrator.mapping import Entity, Row, WireItem
    from migrator.mapping.parity import Disagreement, Identity
    from migrator.postgres.connection import Pool

_LOG: Final = logging.getLogger("migrator.app")


class Shadow:
    """Asks both stores a question and compares what they say. Holds what it has learned of the tables.

    Args:
        pool: sessions on the source.
        client: the target.
        limits: how often it looks, and at how much.
        is_followed: whether PostgreSQL is an entity's master at this moment.
    """

    def __init__(self, pool: Pool, client: Client, limits: ReadLimits, is_followed: Callable[[str], bool]) -> None:
        self._pool = pool
        self._client = client
        self._limits = limits
        self._is_followed = is_followed
        self._lookups: dict[str, Lookup] = {}

    async def compare(self, question: Question) -> Verdict:
        """Looks at the answers until they agree, or have differed in the same at each look.

        A change that is on its way is no difference, unless it takes longer than the looks; nor is what PostgreSQL
        lacks when it is not the master any more.

        Raises:
            ConfigurationError, SourceError, TargetError: a store did not answer.
        """
        comparison = Comparison(question.pattern)
        standing: dict[Identity, Disagreement] | None = None
        for pause in (0.0, *self._limits.looks):
            await asyncio.sleep(pause)
            found = comparison.disagreements(await self._by_key(question), await self._by_sql(question))
            if not found:
                return "equal"
            standing = {
                one: each
                for one, each in found.items()
                if standing is None or (one in standing and standing[one].evidence == each.evidence)
            }
        if not standing or not self._is_followed(question.pattern.entity.name):
            return "skipped"
        what = sorted({each.what for each in standing.values()})
        _LOG.warning("access pattern %s: the stores' answers differ (%s)", question.pattern.id, "; ".join(what))
        return "different"

    async def _by_key(self, question: Question) -> Answer[WireItem]:
        items: list[WireItem] = []
        last = None
        while len(items) <= self._limits.longest:
            try:
                page = await dynamodb.page(
                    self._client, question.pattern, question.row, limit=self._limits.longest + 1, start_key=last
                )
            except UsageError:
                # No item can have such a key.
                return Answer([], whole=True)
            items += dynamodb.alive(question.pattern.entity, page.items, int(time.time()))
            last = page.last_key
            if last is None:
                return Answer(items, whole=True)
        return Answer(items[: self._limits.longest], whole=False)

    async def _by_sql(self, question: Question) -> Answer[Row]:
        entity, most = question.pattern.entity, self._limits.longest
        statement = question.pattern.statement_for(question.row).where(*living(entity, int(time.time())))
        lookup = await self._lookup(entity)
        with errors_explained(f"ask {entity.source_name}"):
            async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
                keys = await answers.keys(connection, lookup.live, statement, most + 1)
                found = await lookup.rows(
                    connection, [dict(zip(lookup.live.key, key, strict=True)) for key in keys[:most]]
                )
        return Answer([row for rows in found for row in rows], whole=len(keys) <= most)

    async def _lookup(self, entity: Entity) -> Lookup:
        lookup = self._lookups.get(entity.name)
        if lookup is None:
            with errors_explained("connect to the source"):
                async with self._pool.acquire() as connection:
                    live = await catalog.require(connection, TableName(entity.source.name, entity.source.schema))
            lookup = self._lookups[entity.name] = Lookup(entity, live)
        return lookup
