"""Where a model's migration stands, as its source, its target and the toolkit's own records say. Nothing is changed."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from migrator.cli.groups import groups_of, next_moves
from migrator.cli.work import terms_of, times_of
from migrator.dynamodb import admin, control
from migrator.dynamodb.errors import TableMissingError
from migrator.dynamodb.shards import StreamLostError
from migrator.engines import reverse
from migrator.engines.copy import plan_table, records
from migrator.engines.stores import live_table
from migrator.errors import ConfigurationError, TargetError
from migrator.phases import ttl_due
from migrator.postgres import (
    capture,
    catalog,
    divergences,
    marks,
    pending,
    phases,
    rehearsals,
    state,
    streams,
    verifications,
)
from migrator.postgres.connection import connect
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.cli.groups import Group, Next
    from migrator.cli.work import Work
    from migrator.engines.copy import TablePlan
    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Table
    from migrator.postgres.capture import Capture
    from migrator.postgres.checkpoints import Progress
    from migrator.postgres.connection import Connection
    from migrator.postgres.marks import Mark
    from migrator.postgres.pending import Backlog
    from migrator.postgres.phases import Phase
    from migrator.postgres.rehearsals import Rehearsal
    from migrator.postgres.streams import Backlog as Carried
    from migrator.postgres.streams import Refusal
    from migrator.postgres.verifications import Verification
    from migrator.settings import Settings

REASONS: Final = 3
_WRITES: Final = "migrate switch writes"


@dataclass(frozen=True)
class Source:
    """A source table: how far its copy is, whether its changes are marked, and the rows that were set aside.

    `qualified` is the name by which marks know it. `problem` says why the table cannot be used as the mapping declares
    it; the rest is unknown then. `aside` holds the first few of `set_aside` rows. `ended`: the migration of its rows is
    complete.
    """

    name: str
    qualified: str = ""
    problem: str | None = None
    plan: TablePlan | None = None
    capture: Capture | None = None
    set_aside: int = 0
    aside: Sequence[Mark] = ()
    ended: bool = False

    @property
    def followed(self) -> bool:
        """Whether every change is marked, from the copy's start on where there is one."""
        record = None if self.plan is None else self.plan.record
        if self.capture is None or record is None:
            return self.capture is not None and self.capture.stands
        return record.followed and self.capture.follows(record.started_at)


@dataclass(frozen=True)
class Target:
    """A target table: DynamoDB's status of it (None: there is no table), and what `prepare` would change."""

    name: str
    status: str | None
    changes: Sequence[str] = ()
    problem: str | None = None

    @property
    def ready(self) -> bool:
        """Whether it takes requests, and is what the mapping declares."""
        return self.status in {"ACTIVE", "UPDATING"} and not self.changes


@dataclass
class Standing:
    """Where one model's migration stands. `version` is that of the toolkit's schema, 0 where it is not installed.

    `phases` are those of all entities; `backlog` is what waits of the marks (None: there are none yet);
    `alarm` says that they take more of the disk than they may. `verification` is the last one that came to a verdict,
    `attempt` the last one of all, `divergences` how many are open, `at` the time by the source's clock. `groups` are
    the entities as they move together, `moves` those that they have before them; `rehearsal` is the latest one.
    `carried` is how far the source follows applications that write to the target, `refusals` the first that it refuses,
    `streams` those that were read of each table, `lost` why changes of some can be followed no more;
    `ttl_due` are the tables whose TTL is to be enabled still, with the seconds until it may be.
    """

    model: str
    fingerprint: str
    version: int = 0
    sources: list[Source] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    verification: Verification | None = None
    attempt: Verification | None = None
    divergences: int = 0
    at: datetime | None = None
    phases: Mapping[str, Phase] = field(default_factory=dict)
    groups: Sequence[Group] = ()
    rehearsal: Rehearsal | None = None
    moves: Sequence[Next] = ()
    backlog: Backlog | None = None
    carried: Carried | None = None
    refusals: Sequence[Refusal] = ()
    streams: Mapping[str, set[str]] = field(default_factory=dict)
    lost: Sequence[str] = ()
    ttl_due: Mapping[str, float] = field(default_factory=dict)
    alarm: str | None = None

    @property
    def phase(self) -> str:
        """The phase; where entities are in different ones, all of them."""
        return ", ".join(dict.fromkeys(self.phases.values()))

    @property
    def followed(self) -> bool:
        """Whether changes are carried over."""
        return all(group.at.is_followed for group in self.groups)

    @property
    def written(self) -> bool:
        """Whether applications write to the target, all of them."""
        return set(self.phases.values()) <= {"write_target", "complete"}

    @property
    def outdated(self) -> str | None:
        """Why the last verification no longer counts, if it does not."""
        if self.verification is None:
            return None
        if self.verification.mapping_fingerprint != self.fingerprint:
            return "it was made under another mapping"
        began = self.verification.started_at
        records = [(source.name, source.plan.record) for source in self.sources if source.plan is not None]
        later = [name for name, record in records if record and (record.finished_at or record.started_at) > began]
        return f"{', '.join(later)}: copied since" if later else None

    @property
    def rehearsed(self) -> bool:
        """Whether the way back was proven under this mapping."""
        done = self.rehearsal
        return done is not None and done.proven and done.mapping_fingerprint == self.fingerprint

    @property
    def unverified(self) -> list[str]:
        """The tables that the last verification left out."""
        compared = () if self.verification is None else self.verification.scope.get("tables", ())
        return [source.name for source in self.sources if source.name not in compared and not source.ended]

    @property
    def captures(self) -> list[Capture]:
        """How capture stands where it has to."""
        return [each.capture for each in self.sources if each.capture is not None and not each.ended]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to be done."""
        return set(self.phases.values()) == {"complete"}

    @property
    def _enabling(self) -> str:
        """The command that enables TTL by now."""
        return "migrate complete" if self.complete else _WRITES

    def in_the_way(self) -> Iterator[str]:
        """What must be put right before anything else can be done."""
        yield from (f"source {source.name}: {source.problem}" for source in self.sources if source.problem)
        yield from (f"table {target.name}: {target.problem}" for target in self.targets if target.problem)
        for source in self.sources:
            if source.set_aside:
                command = "migrate relay" if self.followed else "migrate copy"
                yield f"{source.name}: rows set aside: {source.set_aside:,}; correct them, then run `{command}`"
        for each in self.refusals:
            yield f"the source refuses a change of {each.entity}: {each.reason} (table {each.table}, key {each.key})"
        yield from self.lost
        for group in self.groups:
            yield from group.in_the_way()
        late = None if self.carried is None else self.carried.alarm(reverse.Limits().alarm_seconds)
        yield from (alarm for alarm in (self.alarm, late) if alarm is not None)

    def not_yet(self) -> Iterator[str]:
        """Why moves that are next cannot be made now; that to dual_write has its steps among the others."""
        for each in self.moves:
            if each.plan.to != "dual_write":
                yield from (f"{each.command}: {reason}" for gate in each.plan.closed for reason in gate.reasons)
        for table, left in self.ttl_due.items():
            when = f" in {left:,.0f} s" if left else ""
            yield f"TTL of table {table} is not enabled; `{self._enabling}` does it{when}"

    def next_steps(self) -> Iterator[str]:
        """The commands that may be run now."""
        stages = {group.at.stage for group in self.groups}
        if any(not left for left in self.ttl_due.values()):
            yield self._enabling
        if self.lost and "returning" not in stages:
            yield "migrate rollback"
        if "returning" in stages:
            yield "migrate rollback"
        elif "fenced" in stages:
            yield from (_WRITES, "migrate rollback")
        elif any(source.problem for source in self.sources) or any(target.problem for target in self.targets):
            return
        elif self.version < state.LATEST or not all(target.ready for target in self.targets):
            yield "migrate prepare"
        elif self.written:
            yield from (each.command for each in self.moves if not each.plan.closed)
        else:
            if self.followed and self.backlog is not None and self.backlog.waiting:
                yield "migrate relay"
            copies = list(self._copies())
            yield from copies or self._proofs_and_moves()

    def _copies(self) -> Iterator[str]:
        plans = [source.plan for source in self.sources if source.plan is not None]
        stale = [plan.source for plan in plans if plan.stale]
        unfinished = [plan.source for plan in plans if not plan.finished and not plan.stale]
        if stale:
            yield f"migrate copy --restart {' '.join(stale)}"
        if unfinished:
            yield f"migrate copy {' '.join(unfinished)}" if stale else "migrate copy"

    def _proofs_and_moves(self) -> Iterator[str]:
        if set(self.phases.values()) == {"prepare"} and all(source.followed for source in self.sources):
            yield "migrate switch dual-write"
        if self.verification is None or self.outdated or self.unverified or not self.verification.clean:
            yield "migrate verify"
        if set(self.phases.values()) == {"read_target"} and not self.rehearsed:
            yield "migrate rehearse"
        yield from (each.command for each in self.moves if each.plan.to != "dual_write" and not each.plan.closed)


def standing_of(work: Work, stores: Stores, settings: Settings) -> Standing:
    """Read where a model stands.

    Raises:
        ConfigurationError, SourceError, TargetError: a store cannot be reached or read.
    """
    standing = asyncio.run(_read_source(work, stores, settings))
    with closing(control.connect(stores.target())) as client:
        standing.targets = [_target(client, table) for table in work.model.tables]
        standing.lost = list(_lost(client, standing))
        standing.ttl_due = _ttl_due(client, work, standing, times_of(settings).life)
    return standing


def _lost(client: DynamoDBClient, standing: Standing) -> Iterator[str]:
    """Why changes of some tables can be followed no more, and what leads on."""
    for target in standing.targets:
        if target.status is not None and target.name in standing.streams:
            try:
                reverse.present_stream(client, target.name, standing.streams[target.name])
            except StreamLostError as error:
                yield f"{error.what}; {error.next_step}"


def _ttl_due(client: DynamoDBClient, work: Work, standing: Standing, life: float) -> dict[str, float]:
    at = {name: group.at for group in standing.groups for name in group.entities}
    missing = {target.name for target in standing.targets if target.status is None}
    due = {table: left for table, left in ttl_due(work.model, at, life).items() if table not in missing}
    return {table: left for table, left in due.items() if not admin.describe_ttl(client, table).is_on}


async def _read_source(work: Work, stores: Stores, settings: Settings) -> Standing:
    standing = Standing(work.model.name, work.model.fingerprint)
    connection = await connect(stores.database_url, purpose="status", read_only=True)
    try:
        standing.version = await state.installed_version(connection)
        if standing.version >= state.LATEST:
            name = work.model.name
            standing.verification = next(iter(await verifications.latest(connection, name, judged=True)), None)
            standing.attempt = next(iter(await verifications.latest(connection, name)), None)
            standing.divergences = await divergences.count_open(connection, name)
            standing.rehearsal = await rehearsals.latest(connection, name)
            standing.at = await verifications.now(connection)
        at = await phases.known(connection, work.model.name)
        standing.phases = {each.name: at.get(each.name, phases.Standing()).phase for each in work.entities}
        standing.groups = groups_of(work.model, at)
        known = await records(connection, work.model)
        captures = await capture.standing(connection, capture.wanted([work.model]))
        for entity in work.entities:
            captured = captures[TableName(entity.source.name, entity.source.schema)]
            source = await _source(connection, entity, known, captured, marked=bool(standing.version))
            standing.sources.append(replace(source, ended=standing.phases[entity.name] == "complete"))
        if standing.version:
            names = [source.qualified for source in standing.sources]
            standing.backlog = await pending.backlog(connection, names)
            standing.alarm = standing.backlog.alarm(settings.marks_bytes)
        if standing.version >= state.LATEST and any(group.at.is_carried_back for group in standing.groups):
            standing.carried = await reverse.backlog(connection, work.model)
            standing.streams = await reverse.known_streams(connection, work.model)
            standing.refusals = await streams.refusals(connection, work.model.name, limit=REASONS)
        if standing.version >= state.LATEST:
            life, terms = times_of(settings).life, terms_of(settings)
            standing.moves = await next_moves(connection, work.model, standing.groups, life=life, terms=terms)
        return standing
    finally:
        await connection.close()


async def _source(
    connection: Connection, entity: Entity, known: Mapping[str, Progress], captured: Capture, *, marked: bool
) -> Source:
    try:
        plan = await plan_table(connection, entity, known)
    except ConfigurationError as error:
        found = await catalog.read(connection, TableName(entity.source.name, entity.source.schema))
        return Source(entity.source_name, "" if found is None else str(found.table), problem=error.what)
    live = await live_table(connection, entity)
    name = str(live.table)
    aside = await marks.set_aside(connection, name, limit=REASONS) if marked else []
    return Source(
        entity.source_name,
        name,
        plan=plan,
        capture=captured,
        set_aside=await marks.set_aside_count(connection, name) if marked else 0,
        aside=[_in_key_order(mark, live.key) for mark in aside],
    )


def capture_remarks(captures: Collection[Capture]) -> Iterator[str]:
    """What is wrong with capture: a copy is allowed without it, but what is written meanwhile is not followed."""
    absent = [captured for captured in captures if captured.absent]
    if absent:
        where = "any table" if len(absent) == len(captures) else ", ".join(str(captured.table) for captured in absent)
        (fault,) = absent[0].faults
        yield (
            f"capture is not installed on {where}: changes made during a copy are not followed; "
            f"{'for each, ' if len(absent) > 1 else ''}{fault.next_step}"
        )
    for captured in captures:
        if not captured.absent:
            yield from (f"{fault.sentence}: {fault.next_step}" for fault in captured.faults)


def _in_key_order(mark: Mark, key: Sequence[str]) -> Mark:
    """The mark with its row's key in the order of the primary key: jsonb has an order of its own."""
    return mark if mark.row_key is None else replace(mark, row_key={name: mark.row_key[name] for name in key})


def _target(client: DynamoDBClient, table: Table) -> Target:
    try:
        described = control.ask(client, "describe_table", table.name, {"TableName": table.name})
    except TableMissingError:
        return Target(table.name, None)
    status = described["Table"]["TableStatus"]
    try:
        changes = admin.plan(client, table)
    except TargetError as error:
        return Target(table.name, status, problem=error.what)
    return Target(table.name, status, [change.sentence for change in changes if change.method is not None])
