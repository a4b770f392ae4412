"""Writes move to the target: the source is fenced, its last changes are carried over, and the target is opened.

A run that is cut off is continued by the next one; until the target is open, the fence can be lifted again, and is
lifted where a step fails.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from migrator.engines import relay
from migrator.errors import GateError, MigratorError
from migrator.phases.course import fingerprints_of, names_of, tables_of
from migrator.phases.gate import MARGIN
from migrator.phases.move import refused
from migrator.phases.plan import Plan, planned
from migrator.postgres import fence, pending, phases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Entity, Model
    from migrator.phases.course import Course
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Stage, Standing

_ROUNDS: Final = 20


async def open_writes(course: Course, *, wait: bool) -> Plan:
    """Moves the chosen entities to `write_target`; those that are there already stay.

    Args:
        course: what to move, and how.
        wait: whether to wait until TTL may be enabled, a request's life after the target was opened.

    Returns:
        The move as it was planned; without entities where nothing had to be moved.

    Raises:
        GateError: a gate refuses, or a change cannot be carried over: applications write to the source as before.
        LockedError: a copy runs, or another move.
        UsageError, ConfigurationError, SourceError, TargetError: as `examine`, and as the relay.
    """
    async with course.session() as connection:
        plan = await planned(connection, course.model, "write_target", life=course.times.life, terms=course.terms)
        if plan.closed:
            raise refused(course.model, plan)
        resumed, _ = await course.staying(connection, "fenced", "returning")
        entering = [each for each in course.chosen if each.name in plan.entities and each not in resumed]
        if entering:
            await course.check_streams(entering)
            await _fence(course, connection, entering)
        fenced, _ = await course.staying(connection, "fenced")
        if fenced:
            try:
                await _drain(course, connection, fenced)
            except (MigratorError, asyncio.CancelledError):
                await lift(course, connection)
                raise
        returning, _ = await course.staying(connection, "returning")
        if returning:
            course.told(f"opening the target again: {', '.join(names_of(returning))}")
            async with connection.transaction():
                await _record(course, connection, returning, "open")
        await enable_ttl(course, connection, wait=wait)
    return plan


async def lift(course: Course, connection: Connection) -> None:
    """Lifts the fence where the target was not opened: the source was the master all the while.

    What is on record is read again: whoever was ended in the moment in which it opened the target cannot tell whether
    it has, and from then on applications write there.
    """
    async with connection.transaction():
        await phases.hold(connection)
        fenced, _ = await course.staying(connection, "fenced")
        if not fenced:
            return
        await fence.unfence(connection, tables_of(fenced))
        names, prints = names_of(fenced), fingerprints_of(fenced)
        await phases.record(connection, course.model.name, names, "read_target", percent=100, fingerprints=prints)
    course.told(f"the fence is lifted: {', '.join(names)} are written in the source again")


async def _fence(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    course.told("fencing the source: from now on it refuses writes")
    async with connection.transaction():
        await fence.fence(connection, tables_of(entities), model=course.model.name, phase="write_target")
        await _record(course, connection, entities, "fenced")


async def _drain(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    """Carries over what is marked, to the last, and opens the target when no application goes by an older phase."""
    course.told("carrying over the last changes")
    for _ in range(_ROUNDS):
        outcome = await relay.relay(
            course.model,
            entities,
            course.stores,
            limits=relay.Limits(times=course.times),
            until_empty=True,
            stop=asyncio.Event(),
            listener=relay.Silent(),
        )
        if outcome.aside:
            raise _set_aside(outcome.aside)
        _, standings = await course.staying(connection, "fenced")
        left = course.lease + MARGIN - min((each.seconds or 0.0 for each in standings), default=0.0)
        if left > 0:
            course.told(f"waiting {left:,.1f} s until every application knows the phase")
            await asyncio.sleep(left)
        if await _open(course, connection, entities):
            course.told("the target is open: applications write to it")
            return
    raise GateError(
        "changes of the source were marked again and again although it is fenced",
        safe="the target was not opened",
        next_step="see who has passed the fence, then run `migrate switch writes` again",
    )


async def _open(course: Course, connection: Connection, entities: Sequence[Entity]) -> bool:
    """Records that the target is open; returns False where a mark is left."""
    tables = tables_of(entities)
    gaps = await fence.gaps(connection, tables)
    if gaps:
        raise GateError(
            f"the fence of {', '.join(map(str, gaps))} is not whole: somebody has dropped or disabled it",
            safe="the target was not opened",
            next_step="run `migrate switch writes` again: it is put up anew",
        )
    async with connection.transaction():
        # From here on no snapshot is under way from which a relay could write.
        await phases.hold(connection)
        backlog = await pending.backlog(connection, await course.sources(connection, entities))
        if backlog.waiting or backlog.set_aside:
            return False
        await _record(course, connection, entities, "open")
    return True


async def _record(course: Course, connection: Connection, entities: Sequence[Entity], stage: Stage) -> None:
    await phases.record(
        connection,
        course.model.name,
        names_of(entities),
        "write_target",
        fingerprints=fingerprints_of(entities),
        stage=stage,
    )


async def enable_ttl(course: Course, connection: Connection, *, wait: bool) -> None:
    """Turns TTL on in the chosen entities' tables, where it may be by now; later only where that is to be waited for.

    Raises:
        SourceError, TargetError: a store cannot be reached or used.
    """
    due = ttl_due(course.model, await phases.standings(connection, course.model.name), course.times.life)
    for table in dict.fromkeys(each.table.name for each in course.chosen):
        left = due.get(table)
        if left is None:
            continue
        if left > 0 and not wait:
            course.told(
                f"TTL of table {table} can be enabled in {left:,.0f} s: run `migrate switch writes` again then, or now "
                "with --wait"
            )
            continue
        if left > 0:
            course.told(f"waiting {left:,.0f} s until no request of before can arrive, to enable TTL of table {table}")
            await asyncio.sleep(left)
        expiring = [each for each in course.model.entities if each.table.name == table]
        for changed in await course.ttl(expiring, enabled=True):
            course.told(f"TTL of table {changed.name} is enabled")


def ttl_due(model: Model, standings: Mapping[str, Standing], life: float) -> dict[str, float]:
    """The tables all of whose expiring entities are written in the target, and the seconds until TTL may be on there.

    A request of before, which DynamoDB's own deletion would have make an item anew, lives so long.

    Args:
        model: the model.
        standings: where its entities are.
        life: how many seconds a request lives (`Times.life`).
    """
    due = {}
    expiring = [each for each in model.entities if each.ttl is not None]
    for name in dict.fromkeys(each.table.name for each in expiring):
        at = [standings.get(each.name, phases.Standing()) for each in expiring if each.table.name == name]
        if all(each.stage == "open" or each.phase == "complete" for each in at):
            due[name] = max(0.0, life + MARGIN - min(each.seconds or 0.0 for each in at))
    return due


def _set_aside(number: int) -> GateError:
    return GateError(
        f"{number:,} changes cannot be carried over, and are set aside",
        safe="the fence was lifted; applications write to the source as before",
        next_step="`migrate status` names what is set aside: correct it, then `migrate relay`, then this again",
    )
