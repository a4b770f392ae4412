"""A verification from beginning to end."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from migrator.dynamodb.check import check
from migrator.dynamodb.client import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.collector import seldom_collected
from migrator.engines.stores import live_table
from migrator.engines.together import together
from migrator.engines.verify.findings import Difference, Report, Verdict
from migrator.engines.verify.judge import BATCH, SEVERAL_ROWS, Judge
from migrator.engines.verify.passes import SourcePass, TargetPass
from migrator.engines.verify.spill import Spill
from migrator.mapping import claims
from migrator.postgres import catalog, state, verifications
from migrator.postgres.connection import connect, pool
from migrator.postgres.verifications import Verification
from migrator.reconcile import Lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.engines.verify.spill import Mismatch
    from migrator.mapping import Entity, Model, Table
    from migrator.postgres.connection import Connection, Pool

_SEGMENTS: Final = 4
_SESSIONS: Final = 3
MAX_JUDGED: Final = 10_000
"""Suspects that are judged one by one; where there are more, something is wrong as a whole."""


@dataclass(frozen=True)
class Scope:
    """How a verification reads: read units per second (None: as many as the table gives)."""

    max_rcu: float | None = None


@dataclass(frozen=True)
class Progress:
    """How far a verification is."""

    rows: int
    items: int


async def verify(
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    scope: Scope,
    listener: Callable[[Progress], None] = lambda _: None,
) -> Report:
    """Compares the items of these entities with their rows, both ways, and records the result.

    Raises:
        ConfigurationError: the source schema is not what the mapping declares, or `prepare` has not been run.
        SourceError, TargetError: a store cannot be reached or used.
        MigratorError: the temporary files cannot be written.
    """
    began = time.monotonic()
    report = Report()
    async with AsyncExitStack() as stack:
        control = await connect(stores.database_url, purpose="verify")
        stack.push_async_callback(control.close)
        await state.require(control)
        lookups = {entity.name: Lookup(entity, await live_table(control, entity)) for entity in entities}
        started = await verifications.now(control)
        sessions = await stack.enter_async_context(pool(stores.database_url, purpose="verify", size=_SESSIONS))
        client = await stack.enter_async_context(Client(await asyncio.to_thread(stores.target)))
        for table in _tables(entities):
            await check(client, table.name)
            mine = {name: lookup for name, lookup in lookups.items() if lookup.entity.table.name == table.name}
            every = model.of_table(table)
            part = _TableVerification(table, mine, every, int(started.timestamp()), report, client, sessions)
            await part.run(await _expected(control, mine.values()), scope, listener)
        report.seconds = time.monotonic() - began
        await verifications.record(
            control,
            Verification(model.name, model.fingerprint, started, _scope(entities), _counts(report), report.clean),
        )
    return report


@dataclass
class _TableVerification:
    """The verification of one target table. `every` are all entities whose items stand in it."""

    table: Table
    lookups: Mapping[str, Lookup]
    every: Sequence[Entity]
    now: int
    report: Report
    client: Client
    sessions: Pool

    async def run(self, expected: int, scope: Scope, listener: Callable[[Progress], None]) -> None:
        """Both passes at once, then the suspects."""
        with Spill(expected) as spill, seldom_collected():
            pace = Pace(scope.max_rcu)
            target = TargetPass(self.table, self.every, self.report, spill, self.now)
            async with together() as group:
                telling = group.create_task(self._tell(listener))
                passes = [group.create_task(target.run(self.client, pace, _SEGMENTS))]
                for each in self.lookups.values():
                    source = SourcePass(each.entity, each.source, self.report, spill, self.now)
                    passes.append(group.create_task(source.run(self.sessions)))
                await asyncio.wait(passes, return_when=asyncio.FIRST_EXCEPTION)
                telling.cancel()
            self.report.spilled += spill.bytes_on_disk
            await self._judge(spill)

    async def _tell(self, listener: Callable[[Progress], None]) -> None:
        while True:
            listener(Progress(sum(self.report.rows.values()), self.report.items_scanned))
            await asyncio.sleep(0.2)

    async def _judge(self, spill: Spill) -> None:
        judge = Judge(self.table, self.lookups, self.client, self.sessions, self.now)
        suspects: list[bytes] = []
        judged = 0
        for mismatch in spill.mismatches():
            if not self._concerns(mismatch):
                continue
            self.report.suspects += 1
            if len(mismatch.source) > 1:
                self.report.differences.append(self._collision(mismatch))
            elif judged + len(suspects) >= MAX_JUDGED:
                self.report.unjudged += 1
            else:
                suspects.append(mismatch.key)
            if len(suspects) == BATCH:
                self.report.differences += await judge.judge(suspects)
                judged += len(suspects)
                suspects.clear()
        self.report.differences += await judge.judge(suspects)

    def _concerns(self, mismatch: Mismatch) -> bool:
        """Whether a key is of the entities that are verified; an item of another one in the same table is not."""
        if mismatch.source or len(self.lookups) == len(self.every):
            return True
        owners = {claim.entity.name for claim in claims(self.every, self._key(mismatch))}
        return bool(owners & self.lookups.keys())

    def _key(self, mismatch: Mismatch) -> dict[str, dict[str, str]]:
        names = [key.name for key in self.table.key_attributes]
        return dict(zip(names, orjson.loads(mismatch.key), strict=True))

    def _collision(self, mismatch: Mismatch) -> Difference:
        key = {name: next(iter(value.values())) for name, value in self._key(mismatch).items()}
        return Difference(Verdict.UNVERIFIABLE, self.table.name, key, reason=SEVERAL_ROWS)


def _tables(entities: Sequence[Entity]) -> list[Table]:
    return list({entity.table.name: entity.table for entity in entities}.values())


async def _expected(control: Connection, lookups: Iterable[Lookup]) -> int:
    """About how many items there are, from the planner's figures."""
    total = 0
    for lookup in lookups:
        total += await catalog.estimated_rows(control, lookup.live) * len(lookup.entity.plan.items)
    return total


def _scope(entities: Sequence[Entity]) -> dict[str, object]:
    return {"tables": [entity.source_name for entity in entities]}


def _counts(report: Report) -> dict[str, object]:
    by_verdict: dict[str, int] = defaultdict(int)
    for difference in report.differences:
        by_verdict[difference.verdict.value] += 1
    return {
        "rows": sum(report.rows.values()),
        "items_expected": report.items_expected,
        "items_scanned": report.items_scanned,
        "expired": report.expired,
        "unjudged": report.unjudged,
        **by_verdict,
    }
