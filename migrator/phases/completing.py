"""The migration ends: the way back is given up, capture goes, and tombstones are swept.

The source stays fenced: whoever still writes to it is told so. A run that is cut off is continued by the next one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.phases.course import fingerprints_of, names_of, tables_of
from migrator.phases.move import refused
from migrator.phases.opening import enable_ttl
from migrator.phases.plan import Plan, planned
from migrator.postgres import capture, divergences, fence, phases, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Entity
    from migrator.phases.course import Course
    from migrator.postgres.connection import Connection


async def complete(course: Course) -> Plan:
    """Moves the chosen entities to `complete`; for those that are there already, it does what is left to do.

    Returns:
        The move as it was planned; without entities where nothing had to be moved.

    Raises:
        GateError: the entities are not written in the target alone. Nothing was moved.
        LockedError: a copy runs, or another move.
        UsageError, ConfigurationError, SourceError, TargetError: as `examine`.
    """
    async with course.session() as connection:
        plan = await planned(connection, course.model, "complete", life=course.times.life, terms=course.terms)
        if plan.closed:
            raise refused(course.model, plan)
        # Nobody would do it later.
        await enable_ttl(course, connection, wait=True)
        await _record(course, connection, [each for each in course.chosen if each.name in plan.entities])
        at = await phases.standings(connection, course.model.name)
        done = [each for each in course.model.entities if each.name in at and at[each.name].phase == "complete"]
        await _drop_capture(course, connection, done)
        await _sweep(course, connection, done)
    return plan


async def _record(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    if not entities:
        return
    course.told("giving up the way back: the source is not kept up to date any more")
    async with connection.transaction():
        await fence.fence(connection, tables_of(entities), model=course.model.name, phase="complete")
        fingerprints = fingerprints_of(entities)
        await phases.record(connection, course.model.name, names_of(entities), "complete", fingerprints=fingerprints)
        await streams.returned(connection, course.model, entities)
        await divergences.end(connection, course.model.name, names_of(entities))


async def _drop_capture(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    tables = tables_of(entities)
    standing = await capture.standing(connection, dict.fromkeys(tables, ()))
    for table in tables:
        if standing[table].installed_at is None:
            continue
        course.told(f"dropping capture from {table}")
        async with connection.transaction():
            for statement in capture.drop_statements(table):
                await connection.execute(statement)


async def _sweep(course: Course, connection: Connection, entities: Sequence[Entity]) -> None:
    """Sweeps the tables of which every entity is done: in others, relays go by their tombstones."""
    for table in course.model.tables:
        if all(each in entities for each in course.model.entities if each.table.name == table.name):
            course.told(f"sweeping tombstones from table {table.name}")
            swept = await course.sweep(connection, table)
            course.told(f"{swept:,} tombstones swept")
