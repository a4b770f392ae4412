"""A verification from beginning to end."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.client import Client
from migrator.dynamodb.pacing import Pace
from migrator.engines.models import NamedModel
from migrator.engines.verify.clocks import require_same_time
from migrator.engines.verify.cost import cost_of, dollars, in_words, question_units
from migrator.engines.verify.findings import Coverage, Report
from migrator.engines.verify.judging.again import look_again
from migrator.engines.verify.judging.judge import Judge
from migrator.engines.verify.masters import masters_of
from migrator.engines.verify.narrow import Narrow, confidence, narrowed
from migrator.engines.verify.party import Party
from migrator.engines.verify.patterns.asking import Asking, ask_all
from migrator.engines.verify.reading.course import Reading
from migrator.engines.verify.reading.workplace import OLDEST, place_for
from migrator.engines.verify.record import Record
from migrator.postgres import catalog, checkpoints, state, verifications
from migrator.postgres.address import parse
from migrator.postgres.connection import connect, pool, session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from migrator.engines.stores import Stores
    from migrator.engines.verify.masters import Masters
    from migrator.engines.verify.reading.crew import Read
    from migrator.engines.verify.reading.spill import Spill
    from migrator.engines.verify.reading.workplace import Plan, Workplace
    from migrator.engines.verify.scope import Scope
    from migrator.engines.verify.suspects import Suspects
    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Connection, Pool
    from migrator.reconcile import Lookup

_SESSIONS: Final = 2


async def verify(  # noqa: PLR0913 - what a run is made of
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    mappings: str,
    scope: Scope,
    suspects: Suspects | None = None,
    again: Suspects | None = None,
    listener: Callable[[Read], None] = lambda _: None,
    notice: Callable[[str], None] = lambda _: None,
) -> Report:
    """Compares the items of these entities with their rows, both ways, and records the result.

    Args:
        model: the model.
        entities: those of its entities to verify.
        stores: the source and the target.
        mappings: the module that defines the model, for worker processes to import.
        scope: how to read.
        suspects: is given the keys that differ, or may do so: those that a repair could put right, however many.
        again: keys that an earlier one has given, looked at whatever part is; the ledger hears of those in order.
        listener: is told how many rows and items are read.
        notice: is told, in sentences, what an operator should know before the reading begins.

    Raises:
        ConfigurationError: the source schema is not what the mapping declares, `prepare` has not been run, or the
            source's clock is another one than this machine's.
        LockedError: another verification of the same is under way, or what one has left is of another mapping or source
            schema, or damaged.
        SourceError, TargetError: a store cannot be reached or used.
        MigratorError: the temporary files cannot be written, or a worker was killed.
    """
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        control = await connect(stores.database_url, purpose="verify")
        stack.push_async_callback(control.close)
        await state.require(control)
        target = await asyncio.to_thread(stores.target)
        await require_same_time(control)
        masters = await masters_of(control, model, entities)
        report = _begun(scope, masters, entities)
        run = _Run(model, masters, stores, scope, report, notice, suspects, again)
        place = run.place(stack, str(target.place))
        earlier = None if place is None else await _earlier(control, place, scope, notice)
        since = None if earlier is None else earlier.started_at
        started = (await stack.enter_async_context(run.record.kept(control, since))).started_at
        parties = await run.parties(control)
        client = await stack.enter_async_context(Client(target))
        narrow = await run.narrowed(control, client, parties, started)
        reading = Reading(NamedModel(mappings, model), stores, scope, parties, place, narrow)
        plan = await run.plan(control, reading, earlier, started)
        spills = await reading.read(plan, stack, report, listener)
        sessions = await stack.enter_async_context(pool(stores.database_url, purpose="verify", size=_SESSIONS))
        await run.judge(control, client, sessions, parties, spills, narrowed=narrow.asked)
        await run.ask(control, client, sessions, parties, started)
        run.conclude(parties, narrow, time.monotonic() - began)
        if place is not None:
            place.clear()
    return report


async def foresee(
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    scope: Scope,
    notice: Callable[[str], None] = lambda _: None,
) -> Report:
    """What a verification would look at and cost: a report of which nothing but that is filled in; nothing is read.

    Args:
        model: the model.
        entities: those of its entities to verify.
        stores: the source and the target.
        scope: how to read.
        notice: is told the same in sentences.

    Raises:
        ConfigurationError, SourceError, TargetError, UsageError: as `verify`.
    """
    async with session(stores.database_url, purpose="verify") as control:
        await state.require(control)
        masters = await masters_of(control, model, entities)
        report = _begun(scope, masters, entities)
        run = _Run(model, masters, stores, scope, report, notice)
        async with Client(await asyncio.to_thread(stores.target)) as client:
            parties, started = await run.parties(control), await verifications.now(control)
            await run.narrowed(control, client, parties, started)
    report.cost.dollars = dollars(report.cost.foreseen_units, scope.read_dollars)
    return report


@dataclass(frozen=True)
class _Run:
    """One verification: what is asked for, and what is said of it."""

    model: Model
    masters: Masters
    stores: Stores
    scope: Scope
    report: Report
    notice: Callable[[str], None]
    suspects: Suspects | None = None
    again: Suspects | None = None

    @property
    def record(self) -> Record:
        """What stays of it in the source."""
        return Record(self.model, self.masters, self.report, self.stores.database_url)

    def place(self, stack: AsyncExitStack, target: str) -> Workplace | None:
        """Where it is kept how far it is, held until `stack` ends."""
        if self.scope.work_dir is None:
            return None
        where = (str(parse(self.stores.database_url)), target, *(each.name for each in self.masters.entities))
        place = place_for(self.scope.work_dir, self.model.name, [*where, *self.scope.facts])
        stack.enter_context(place.held())
        return place

    async def parties(self, control: Connection) -> list[Party]:
        """The target tables of the entities."""
        tables = {each.table.name: each.table for each in self.masters.entities}
        return [await Party.of(control, self.model, table, self.masters.entities) for table in tables.values()]

    async def narrowed(
        self, control: Connection, client: Client, parties: Sequence[Party], started: datetime
    ) -> Narrow:
        """What is to be looked at, and said of its cost: a sample that costs as much as all does is all."""
        narrow = await narrowed(control, self.model, _lookups(parties), self.scope, started)
        cost = await cost_of(control, client, parties, narrow)
        if narrow.sample is not None and cost.narrowed >= cost.whole:
            self.notice(f"a sample of {narrow.sample:g} % takes as many read units as all does: everything is compared")
            narrow = Narrow()
            self.report.scope.sample_percent = None
        rows = {name: count for party in parties for name, count in party.rows.items()}
        asked = (rows[pattern.entity.name] for pattern in self.model.patterns if pattern.entity.name in rows)
        units = (cost.narrowed if narrow.asked else cost.whole) + question_units(asked, self.scope.patterns)
        self.report.scope.not_verified += narrow.not_verified()
        self.report.cost.foreseen_units = units
        self.notice(f"reading takes {in_words(units, self.scope.max_rcu, self.scope.read_dollars)}")
        return narrow

    async def plan(self, control: Connection, reading: Reading, earlier: Plan | None, started: datetime) -> Plan:
        """What to read: what an earlier run set out to, if it may be gone on with."""
        basis = _basis(self.model, reading.parties, reading.narrow)
        refuse = not self.scope.anew_if_other
        if earlier is not None and reading.place is not None and reading.place.same(earlier, basis, refuse=refuse):
            return earlier
        return await reading.plan(control, basis, started)

    async def judge(
        self,
        control: Connection,
        client: Client,
        sessions: Pool,
        parties: Sequence[Party],
        spills: Mapping[str, Spill],
        *,
        narrowed: bool,
    ) -> None:
        """Judges what does not match in each table, and in a part of the rows what is to be looked at in any case."""
        self.report.spilled = sum(spill.bytes_on_disk for spill in spills.values())
        judges = await self._judges(control, client, sessions, parties)
        for party in parties:
            mismatches, judge = spills[party.table.name].mismatches(), judges[party.table.name]
            await party.judge(mismatches, judge, self.report, self.suspects, narrowed=narrowed)
        if self.again is not None and narrowed:
            await look_again(self.again, judges, self.report, partial(self.record.in_order, control))
        self.report.read_units += sum(judge.units for judge in judges.values())

    async def _judges(
        self, control: Connection, client: Client, sessions: Pool, parties: Sequence[Party]
    ) -> dict[str, Judge]:
        """The judge of each table."""
        # Since the reading began, rows may have expired, and DynamoDB may have deleted what has.
        now = int((await verifications.now(control)).timestamp())
        uncopied = await _uncopied(control, self.model, parties)
        pace = None if self.scope.max_rcu is None else Pace(self.scope.max_rcu)
        return {
            party.table.name: Judge(
                party.table,
                party.lookups,
                client,
                sessions,
                now,
                uncopied=uncopied,
                carried_back=self.masters.carried_back,
                pace=None if pace is None else pace.of_another_table(),
            )
            for party in parties
        }

    async def ask(
        self, control: Connection, client: Client, sessions: Pool, parties: Sequence[Party], started: datetime
    ) -> None:
        """Asks the access patterns of both stores."""
        lookups = {lookup.entity.name: lookup for lookup in _lookups(parties)}
        now = int((await verifications.now(control)).timestamp())
        asking = Asking(self.scope.patterns, now, str(started), self.report.followed, self.scope.max_rcu)
        await ask_all(self.model.patterns, lookups, client, sessions, asking, self.report)

    def conclude(self, parties: Sequence[Party], narrow: Narrow, seconds: float) -> None:
        """Adds what is known at the end."""
        report = self.report
        if narrow.sample is not None:
            rows = sum(sum(party.rows.values()) for party in parties)
            report.scope.confidence = confidence(sum(report.rows.values()), rows, len(report.differences))
        if report.moving:
            report.scope.not_verified.append(
                f"{len(report.moving):,} keys that differed whenever they were looked at, a change being on its way."
            )
        report.cost.units = report.read_units
        report.cost.dollars = dollars(report.read_units, self.scope.read_dollars)
        report.seconds = seconds


async def _earlier(control: Connection, place: Workplace, scope: Scope, notice: Callable[[str], None]) -> Plan | None:
    """The plan of a verification that was not finished, if there is one to go on with."""
    if scope.restart:
        place.clear()
        return None
    plan = place.plan()
    if plan is None:
        return None
    if await verifications.now(control) - plan.started_at > OLDEST:
        notice(
            f"the verification begun at {plan.started_at:%Y-%m-%d %H:%M} UTC is too old to go on with: all is read anew"
        )
        place.clear()
        return None
    notice(f"going on with the verification begun at {plan.started_at:%Y-%m-%d %H:%M} UTC; --restart begins anew")
    return plan


def _lookups(parties: Sequence[Party]) -> list[Lookup]:
    return [lookup for party in parties for lookup in party.lookups.values()]


def _basis(model: Model, parties: Sequence[Party], narrow: Narrow) -> dict[str, str]:
    """What must be the same for a verification to be gone on with, by its name."""
    lookups = _lookups(parties)
    facts = [f"{each.live.oid} {catalog.schema_fingerprint(each.live, each.used)}" for each in lookups]
    return {
        "mapping": model.fingerprint,
        "source schema": hashlib.sha256("\n".join(facts).encode()).hexdigest(),
        "part to look at": "all" if not narrow.asked else str(narrow.since and narrow.since.moment),
    }


def _begun(scope: Scope, masters: Masters, entities: Sequence[Entity]) -> Report:
    """The report of a verification that begins: what is to be looked at, as it was asked for."""
    since = scope.since.isoformat() if isinstance(scope.since, datetime) else scope.since
    words = None if since is None else str(since)
    coverage = Coverage(scope.sample, words, Narrow(after=scope.after, until=scope.until).key_range)
    coverage.not_verified += masters.not_verified(entities)
    return Report(scope=coverage, followed=masters.followed, carried_back=masters.carried_back)


async def _uncopied(control: Connection, model: Model, parties: Sequence[Party]) -> set[str]:
    """The entities with whose rows no copy has begun."""
    begun = {
        each.copy.source
        for each in await checkpoints.progress(control, model.name)
        if each.copy.finished_at is not None or each.counts.rows
    }
    return {lookup.entity.name for lookup in _lookups(parties) if str(lookup.live.table) not in begun}
