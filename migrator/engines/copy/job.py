"""A copy from beginning to end: what is to be done, done in this process or in several, and what came of it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from migrator.dynamodb.check import check
from migrator.dynamodb.client import Client
from migrator.engines.copy.brake import MARKS_BYTES, Held
from migrator.engines.copy.crew import Crew, Task, log_of
from migrator.engines.copy.path import PATHS, check_capture, check_quiet, path_of
from migrator.engines.copy.progress import Tally
from migrator.engines.models import NamedModel
from migrator.engines.processes import Loss, share_out
from migrator.engines.ranges import parts
from migrator.engines.stores import live_table
from migrator.errors import GateError
from migrator.mapping import entity_fingerprint
from migrator.postgres import capture, catalog, marks, phases, state, timelines
from migrator.postgres.checkpoints import Counts, progress
from migrator.postgres.connection import connect, pool
from migrator.postgres.identifiers import TableName
from migrator.postgres.locks import lock, of_copies
from migrator.postgres.rows import RowSource
from migrator.reconcile import Times

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.copy.path import Path
    from migrator.engines.copy.progress import Listener, Settled
    from migrator.engines.stores import Stores
    from migrator.mapping import Entity, Model
    from migrator.postgres.capture import Capture
    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.checkpoints import Copy, CopyLog, Progress
    from migrator.postgres.connection import Connection, Pool
    from migrator.postgres.phases import Standing

_LOSS: Final = Loss(
    safe="What is settled stays.",
    next_step="Run the command again: it goes on from there. If the system killed it, see how much memory it has.",
)


@dataclass(frozen=True)
class Limits:
    """What a copy may use: worker processes, and write units per second (None: as many as the table takes).

    `times`: how long requests live. `marks_bytes`: of waiting changes, above which a copy beside relays waits.
    """

    workers: int = 1
    max_wcu: float | None = None
    times: Times = field(default_factory=Times)
    marks_bytes: int = MARKS_BYTES


@dataclass(frozen=True)
class TablePlan:
    """Where the copy of one table stands: about how many rows there are, what is settled, and the copy on record.

    `stale`: the copy on record was made under another mapping or source schema, and is refused unless restarted.
    `path`: how it would be copied; None where its phase allows no copy.
    """

    source: str
    rows: int
    settled: Counts
    record: Copy | None
    stale: bool
    path: Path | None = "turbo"

    @property
    def finished(self) -> bool:
        """Whether nothing is left to copy."""
        return self.record is not None and self.record.finished_at is not None and not self.stale


@dataclass
class Outcome:
    """What a copy has done. `counts` are of this run, by source table; `waiting` rows are set aside, from all runs."""

    counts: dict[str, Counts] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    followed: bool = True
    seconds: float = 0.0

    @property
    def total(self) -> Counts:
        """The counts of all tables."""
        return sum(self.counts.values(), Counts())


@dataclass
class _Table:
    """A table that takes part, with about how many rows it has."""

    entity: Entity
    live: LiveTable
    log: CopyLog
    rows: int

    @property
    def name(self) -> TableName:
        """The table's name as the mapping has it."""
        return TableName(self.entity.source.name, self.entity.source.schema)


async def plan(model: Model, entities: Sequence[Entity], stores: Stores) -> list[TablePlan]:
    """What `copy` would do, without changing anything.

    Raises:
        MigratorError: as `copy`.
    """
    connection = await connect(stores.database_url, purpose="copy", read_only=True)
    try:
        known = await records(connection, model)
        standings = await phases.known(connection, model.name)
        return [
            replace(
                await plan_table(connection, entity, known),
                path=PATHS.get(standings.get(entity.name, phases.Standing()).phase),
            )
            for entity in entities
        ]
    finally:
        await connection.close()


async def records(connection: Connection, model: Model) -> dict[str, Progress]:
    """The copies on record for a model, by source; none where the toolkit's schema is not installed."""
    if not await state.installed_version(connection):
        return {}
    return {each.copy.source: each for each in await progress(connection, model.name)}


async def plan_table(connection: Connection, entity: Entity, known: Mapping[str, Progress]) -> TablePlan:
    """What `copy` would do with one table, given the copies on record.

    Raises:
        ConfigurationError: the source schema is not what the mapping declares.
    """
    live = await live_table(connection, entity)
    rows = await catalog.estimated_rows(connection, live)
    found = known.get(str(live.table))
    if found is None:
        return TablePlan(entity.source_name, rows, Counts(), None, stale=False)
    made_under = (found.copy.mapping_fingerprint, found.copy.schema_fingerprint)
    stale = made_under != _fingerprints(entity, live)
    return TablePlan(entity.source_name, rows, found.counts, found.copy, stale)


def _fingerprints(entity: Entity, live: LiveTable) -> tuple[str, str]:
    return entity_fingerprint(entity), catalog.schema_fingerprint(live, entity.plan.columns)


async def copy(  # noqa: PLR0913 - what a run is made of
    model: Model,
    entities: Sequence[Entity],
    stores: Stores,
    *,
    mappings: str,
    limits: Limits,
    restart: bool,
    listener: Listener,
) -> Outcome:
    """Copies the rows of these entities, going on where an earlier run has stopped.

    Args:
        model: the model; one copy of it runs at a time.
        entities: those of its entities to copy.
        stores: the source and the target.
        mappings: the module that defines the model, for worker processes to import.
        limits: processes and write units.
        restart: forget what earlier runs have settled, and begin anew.
        listener: who is told.

    Raises:
        ConfigurationError: the source schema is not what the mapping declares, or `prepare` has not been run.
        GateError: the phase of an entity does not allow it, or not yet, or is another by the time that a page is done.
        LockedError: another copy of the model runs, or its checkpoint belongs to another mapping or source schema.
        SourceError, TargetError: a store cannot be reached or used. What is settled stays.
    """
    started = time.monotonic()
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        control = await connect(stores.database_url, purpose="copy")
        stack.push_async_callback(control.close)
        await state.require(control)
        await stack.enter_async_context(lock(control, of_copies(model.name)))
        standings = await phases.standings(control, model.name)
        paths = {entity.source_name: path_of(entity, standings) for entity in entities}
        promoted = await timelines.promotion(control, [])
        check_quiet(entities, standings, limits.times.life, None if promoted is None else promoted.seconds)
        await _check_target(entities, stores)
        sessions = await stack.enter_async_context(pool(stores.database_url, purpose="copy", size=2))
        tables = [await _open(control, sessions, model, entity, standings) for entity in entities]
        needed = capture.wanted([model])
        captures = await capture.standing(control, {table.name: needed[table.name] for table in tables})
        listener.chosen(paths)
        await _check_live(control, model, tables, captures, restart=restart)
        begun = await _begin(control, tables, captures, restart=restart, workers=limits.workers)
        outcome.followed = all(record.followed for record in begun)
        tasks = await _tasks(tables)
        await _announce(control, model, tables, begun, listener)
        crew = Crew(stores, NamedModel(mappings, model), [entity.source_name for entity in entities], limits)
        await _work(crew, tasks, limits, listener, outcome)
        for table, record in zip(tables, begun, strict=True):
            if record.finished_at is None:
                await table.log.finish()
        outcome.waiting = await _retry(crew, control, tables)
    outcome.seconds = time.monotonic() - started
    return outcome


async def _work(crew: Crew, tasks: Sequence[Task], limits: Limits, listener: Listener, outcome: Outcome) -> None:
    """Has the tasks done, and adds up what comes of them."""

    def told(page: Settled | Held) -> None:
        if isinstance(page, Held):
            listener.warned(page.sentence)
            return
        outcome.counts[page.source] = outcome.counts.get(page.source, Counts()) + page.counts
        listener.settled(page)

    processes = max(1, min(limits.workers, len(tasks)))
    for tally in await share_out(crew.one_of(processes), processes, tasks, told, _LOSS):
        outcome.tally.add(tally)


async def _retry(crew: Crew, control: Connection, tables: Sequence[_Table]) -> dict[str, int]:
    """Tries the rows again that were set aside; returns how many still are, by source."""
    waiting = {table.entity.source_name: await marks.set_aside_count(control, table.log.source) for table in tables}
    if not any(waiting.values()):
        return waiting
    async with crew.open() as opened:
        return {source: (await table.retry_set_aside()).set_aside for source, table in opened.tables.items()}


async def _check_target(entities: Sequence[Entity], stores: Stores) -> None:
    async with Client(await asyncio.to_thread(stores.target)) as client:
        for name in dict.fromkeys(entity.table.name for entity in entities):
            await check(client, name)


async def _open(
    control: Connection, sessions: Pool, model: Model, entity: Entity, standings: Mapping[str, Standing]
) -> _Table:
    live = await live_table(control, entity)
    log = log_of(sessions, model.name, entity, live, standings)
    return _Table(entity, live, log, await catalog.estimated_rows(control, live))


async def _check_live(
    control: Connection, model: Model, tables: Sequence[_Table], captures: Mapping[TableName, Capture], *, restart: bool
) -> None:
    """Sees, before anything is changed, that what is copied beside others may be."""
    known = await records(control, model)
    for table in tables:
        if table.log.phase == "prepare":
            continue
        captured, planned = captures[table.name], await plan_table(control, table.entity, known)
        record = None if restart else planned.record
        check_capture(
            table.entity,
            captured,
            followed=record is None or (record.followed and captured.follows(record.started_at)),
        )
        if planned.stale and restart:
            source = table.entity.source_name
            raise GateError(
                f"{source} was copied under another mapping or source schema, and items of another kind would stay: "
                "beside a running application, a copy puts items only where nothing is",
                safe="Nothing was done.",
                next_step=f"migrate rollback, then migrate copy --restart {source}",
            )


async def _begin(
    control: Connection, tables: Sequence[_Table], captures: Mapping[TableName, Capture], *, restart: bool, workers: int
) -> list[Copy]:
    """The copies of all tables as they are on record, begun where there is none."""
    total = sum(table.rows for table in tables)
    return [
        await _record(control, table, captures[table.name], restart=restart, ranges=parts(table.rows, total, workers))
        for table in tables
    ]


async def _record(control: Connection, table: _Table, captured: Capture, *, restart: bool, ranges: int) -> Copy:
    """The copy of a table as it is on record, begun where there is none. It is followed if every change since is."""
    known = None if restart else await table.log.load()
    if known is not None:
        return replace(known, followed=known.followed and captured.follows(known.started_at))
    source = RowSource(table.live, table.entity.projection)
    return await table.log.begin(await source.split(control, ranges), followed=captured.stands, anew=restart)


async def _tasks(tables: Sequence[_Table]) -> list[Task]:
    """What is left to do, long ranges first: the last ones decide how far apart the workers end."""
    by_rows: list[tuple[float, list[Task]]] = []
    for table in tables:
        ranges = await table.log.ranges()
        left = [Task(table.entity.source_name, at) for at in ranges if at.settled_at is None]
        by_rows.append((table.rows / len(ranges), left))
    by_rows.sort(key=lambda each: -each[0])
    return [task for _, left in by_rows for task in left]


async def _announce(
    control: Connection, model: Model, tables: Sequence[_Table], begun: Sequence[Copy], listener: Listener
) -> None:
    unfollowed = [record.source for record in begun if not record.followed]
    if unfollowed:
        where = "any table" if len(unfollowed) == len(begun) else ", ".join(unfollowed)
        listener.warned(f"changes made since the copy began are not followed: capture does not stand on {where}")
    known = {each.copy.source: each.counts for each in await progress(control, model.name)}
    settled = {table.entity.source_name: known.get(str(table.live.table), Counts()) for table in tables}
    estimates = {table.entity.source_name: table.rows for table in tables}
    listener.began(estimates, settled)
