"""Writes return to the source: nobody writes, what was written in the target is carried back, and both are compared.

A stream gives no proof of having been read to its end; the comparison does. A run that is cut off is continued by the
next one. Until the last step, the target is what counts.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from migrator.dynamodb.shards import StreamLostError
from migrator.engines import reverse, verify
from migrator.errors import GateError
from migrator.mapping import Inverse
from migrator.phases.course import fingerprints_of, names_of, tables_of
from migrator.phases.gate import MARGIN, Gate
from migrator.phases.move import refused
from migrator.phases.opening import lift
from migrator.phases.plan import Plan
from migrator.postgres import fence, phases, sequences, streams
from migrator.postgres.locks import lock
from migrator.reconcile import ItemKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.engines.verify import Report
    from migrator.mapping import Entity, Table, WireItem
    from migrator.phases.course import Course
    from migrator.postgres.connection import Connection

_REPAIRS: Final = 2
"""How often what differs is carried back by its key, before it is said to differ."""
_NAMED: Final = 5
_POLL_SECONDS: Final = 10.0


async def examine_return(course: Course) -> Plan:
    """What `return_writes` would do, without doing it.

    Raises:
        ConfigurationError, SourceError: as `return_writes`.
    """
    async with course.session() as connection:
        fenced, _ = await course.staying(connection, "fenced")
        there, _ = await course.staying(connection, "open", "returning")
    gates = (_invertible(there),)
    if there:
        return Plan("dual_write", tuple(names_of([*fenced, *there])), gates)
    return Plan("read_target", tuple(names_of(fenced)), gates, percent=100 if fenced else 0)


async def return_writes(course: Course) -> Plan:
    """Moves the chosen entities that are in `write_target` back, to `dual_write`.

    Where the target was not opened yet, the fence is lifted, and they are in `read_target` as before.

    Returns:
        The move as it was made; without entities where none is in `write_target`.

    Raises:
        GateError: an entity has no way back, and nothing was moved; or the stores differ still, and applications are
            refused their writes until this is run again, or `open_writes`. Nothing is lost.
        LockedError: a copy runs, or another move.
        ConfigurationError, SourceError, TargetError: a store cannot be reached or used.
    """
    async with course.session() as connection:
        fenced, _ = await course.staying(connection, "fenced")
        await lift(course, connection)
        there, _ = await course.staying(connection, "open", "returning")
        if not there:
            return Plan("read_target", tuple(names_of(fenced)), percent=100)
        plan = Plan("dual_write", tuple(names_of(there)), (_invertible(there),))
        if plan.closed:
            raise refused(course.model, plan)
        await _refuse_writes(course, connection)
        await _wait_for_writers(course, connection, there)
        await _carry_back(course, there)
        for table in {each.table.name: each.table for each in there}.values():
            await course.sweep(connection, table)
        await _end(course, connection, there)
    return plan


def _invertible(entities: Sequence[Entity]) -> Gate:
    lost = [each.name for each in entities if Inverse(each).lost]
    reasons = [f"the items of {name} do not hold all of its rows, and the way back was given up" for name in lost]
    steps = ("name the entities that are to return by --entity, without these",) if lost else ()
    return Gate("every item can be led back to its row", tuple(reasons), steps)


async def _refuse_writes(course: Course, connection: Connection) -> None:
    opened, _ = await course.staying(connection, "open")
    if not opened:
        return
    course.told("from now on applications write to neither store")
    async with connection.transaction():
        await phases.record(
            connection,
            course.model.name,
            names_of(opened),
            "write_target",
            fingerprints=fingerprints_of(opened),
            stage="returning",
        )


async def _wait_for_writers(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    """Returns when no write can arrive any more, by an application or by TTL. Meanwhile most is carried back."""
    for table in await course.ttl(entities, enabled=False):
        course.told(f"TTL of table {table.name} is being disabled")
    told = ""
    while True:
        _, standings = await course.staying(connection, "returning")
        since = min(each.seconds or 0.0 for each in standings)
        left = course.lease + course.times.life + MARGIN - since
        on = [name for name, status in (await course.ttl_statuses(entities)).items() if status != "DISABLED"]
        if left <= 0 and not on:
            return
        now = f"until TTL of {', '.join(on)} is DISABLED, which takes up to an hour"
        if left > 0:
            now = "until no write of an application can arrive any more"
        if now != told:
            course.told(f"waiting {now}" if left <= 0 else f"waiting {left:,.0f} s {now}")
            told = now
        await _drain(course, entities)
        await asyncio.sleep(min(left, _POLL_SECONDS) if left > 0 else _POLL_SECONDS)


async def _drain(course: Course, entities: Sequence[Entity]) -> None:
    """Carries back what the streams have; where one has lost changes, the comparison has to find them."""
    try:
        await reverse.carry_back(
            course.model,
            entities,
            course.stores,
            limits=reverse.Limits(),
            until_drained=True,
            stop=asyncio.Event(),
            listener=reverse.Silent(),
            lost=course.lost,
        )
    except StreamLostError as error:
        course.told(f"{error.what}; what is missing is found by comparing")


async def _carry_back(course: Course, entities: Sequence[Entity]) -> None:
    """Reads the streams to their end, and compares until the stores agree."""
    course.told("carrying back what was written in the target")
    await _drain(course, entities)
    tables = {table.name: table for table in course.model.tables}
    for last in (*[False] * _REPAIRS, True):
        course.told("comparing both stores")
        report = await verify.verify(
            course.model, entities, course.stores, mappings=course.mappings, scope=verify.Scope(patterns=0)
        )
        if report.clean:
            return
        if last:
            raise _differ(report)
        keys = [
            ItemKey.of(tables[each.table], _wire(tables[each.table], each.key))
            for each in (*report.differences, *report.moving)
        ]
        course.told(f"carrying back {len(keys):,} keys that differ")
        await reverse.apply_keys(course.model, entities, course.stores, keys, lost=course.lost)


def _wire(table: Table, key: Mapping[str, Any]) -> WireItem:
    """A key as DynamoDB takes it, from its plain values."""
    return {
        attribute.name: {attribute.type: base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)}
        for attribute, value in ((each, key[each.name]) for each in table.key_attributes)
    }


async def _end(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    """Lifts the fence and records the move, in one transaction, behind which no change is carried back any more."""
    tables = tables_of(entities)
    for moved in await sequences.advance(connection, tables):
        course.told(f"sequence {moved.sequence} goes on after {moved.value:,}")
    await phases.advance_versions(connection)
    names = [reverse.lock_of(course.model, table) for table in course.model.tables]
    # Whoever carries changes back holds the phases before he holds the tables.
    async with AsyncExitStack() as stack:
        for name in names:
            await stack.enter_async_context(lock(connection, name))
        async with connection.transaction():
            await fence.unfence(connection, tables)
            await phases.record(
                connection, course.model.name, names_of(entities), "dual_write", fingerprints=fingerprints_of(entities)
            )
            await streams.returned(connection, course.model, entities)
    course.told("the fence is lifted: applications write to the source, and it is followed as before")


def _differ(report: Report) -> GateError:
    named = [
        f"{each.table} {each.verdict.value}{f' ({each.reason})' if each.reason else ''}"
        for each in report.differences[:_NAMED]
    ]
    more = len(report.differences) - len(named)
    others = f" and {more:,} more" if more > 0 else ""
    return GateError(
        f"the source does not hold what the target holds: {', '.join(named)}{others}",
        safe="nothing is lost: the target has it all; applications are refused their writes",
        next_step="`migrate history --divergences --open` names the keys; put right what the source refuses, then run "
        "`migrate rollback` again; `migrate switch writes` opens the target again",
    )
