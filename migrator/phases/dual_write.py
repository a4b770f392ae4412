"""The gates before `dual_write`: from there on relays and mirrors write, on conditions that must mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.mapping import entity_fingerprint
from migrator.phases.gate import Gate
from migrator.postgres import capture, catalog, phases
from migrator.postgres.checkpoints import progress
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.mapping import Entity, Model
    from migrator.postgres.capture import Capture
    from migrator.postgres.checkpoints import Progress
    from migrator.postgres.connection import Connection

_MARGIN: Final = 0.1
"""Seconds that a wait is longer than it need be, so that it is not a moment too short."""


async def gates(connection: Connection, model: Model, *, life: float) -> list[Gate]:
    """The gates, as they are now.

    Args:
        connection: a session on the primary.
        model: the model.
        life: how many seconds a request lives (`Times.life`).

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    captures = await capture.standing(connection, capture.wanted([model]))
    known = {each.copy.source: each for each in await progress(connection, model.name)}
    return [
        await _schema(connection, model),
        _captured(captures),
        await _copied(connection, model, captures, known),
        await quiet(connection, model.name, life),
    ]


async def _schema(connection: Connection, model: Model) -> Gate:
    problems = [problem for entity in model.entities for problem in await catalog.compare(connection, entity.source)]
    step = "run `alembic upgrade head`, or correct the mapping and run `migrate lint`"
    return Gate("the source is what the mapping declares", tuple(problems), (step,) if problems else ())


def _captured(captures: Mapping[TableName, Capture]) -> Gate:
    faults = [fault for captured in captures.values() for fault in captured.faults]
    steps = dict.fromkeys(fault.next_step for fault in faults)
    return Gate("every change is marked", tuple(fault.sentence for fault in faults), tuple(steps))


async def _copied(
    connection: Connection, model: Model, captures: Mapping[TableName, Capture], known: Mapping[str, Progress]
) -> Gate:
    """What a copy has written is of this mapping, and whatever has changed since it began is marked."""
    reasons: list[str] = []
    tables: list[str] = []
    for entity in model.entities:
        found = await _faults(connection, entity, captures[_name(entity)], known)
        reasons += found
        tables += [entity.source_name] if found else []
    steps = (f"migrate copy --restart {' '.join(tables)}",) if tables else ()
    return Gate("what was copied is of this mapping, and was followed from its start", tuple(reasons), steps)


async def _faults(
    connection: Connection, entity: Entity, captured: Capture, known: Mapping[str, Progress]
) -> list[str]:
    live = await catalog.read(connection, _name(entity))
    found = None if live is None else known.get(str(live.table))
    if live is None or found is None:
        return []
    record = found.copy
    current = entity_fingerprint(entity), catalog.schema_fingerprint(live, entity.plan.columns)
    reasons = []
    if (record.mapping_fingerprint, record.schema_fingerprint) != current:
        reasons.append(f"the copy of {live.table} was made under another mapping or source schema")
    if not record.followed or (captured.stands and not captured.follows(record.started_at)):
        reasons.append(f"the copy of {live.table} began before capture stood")
    return reasons


def _name(entity: Entity) -> TableName:
    return TableName(entity.source.name, entity.source.schema)


async def quiet(connection: Connection, model: str, life: float) -> Gate:
    """Nothing can arrive any more that a copy has sent, however it has ended: it would be put over newer items."""
    name = "no request of a copy can arrive any more"
    seconds = await phases.seconds_since_sent(connection, model)
    if seconds is None or seconds >= life:
        return Gate(name)
    left = life - seconds + _MARGIN
    return Gate(
        name,
        (f"a copy may have sent its last request {seconds:,.0f} seconds ago, and a request lives {life:,.0f}",),
        (f"wait {left:,.0f} seconds, or give --wait",),
        left,
    )
