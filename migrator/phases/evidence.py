"""The gates that several moves share: what the source, capture and the copies have to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.mapping import entity_fingerprint
from migrator.phases.gate import Gate
from migrator.postgres import capture, catalog
from migrator.postgres.checkpoints import progress
from migrator.postgres.identifiers import TableName

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from migrator.mapping import Entity, Model
    from migrator.postgres.capture import Capture, Fault
    from migrator.postgres.checkpoints import Progress
    from migrator.postgres.connection import Connection


async def captures_of(connection: Connection, model: Model, entities: Sequence[Entity]) -> Mapping[TableName, Capture]:
    """How capture stands on the tables of these entities."""
    wanted = capture.wanted([model])
    return await capture.standing(connection, {table_of(entity): wanted[table_of(entity)] for entity in entities})


async def declared(connection: Connection, entities: Sequence[Entity]) -> Gate:
    """The source tables are as the mapping has them."""
    problems = [problem for entity in entities for problem in await catalog.compare(connection, entity.source)]
    step = "run `alembic upgrade head`, or correct the mapping and run `migrate lint`"
    return Gate("the source is what the mapping declares", tuple(problems), (step,) if problems else ())


def captured(captures: Mapping[TableName, Capture]) -> Gate:
    """Capture stands on every table, and has since the target was last known to be in order."""
    return of_faults("every change is marked", _faults_of(captures))


def of_faults(name: str, faults: Iterable[Fault]) -> Gate:
    """A gate that faults of capture close."""
    found = list(faults)
    steps = dict.fromkeys(fault.next_step for fault in found)
    return Gate(name, tuple(fault.sentence for fault in found), tuple(steps))


async def copied(
    connection: Connection,
    model: Model,
    entities: Sequence[Entity],
    captures: Mapping[TableName, Capture],
    *,
    complete: bool,
) -> Gate:
    """What a copy has written is of this mapping, and whatever has changed since it began is marked.

    With `complete`, there has to be a copy of each table, and it has to be done.
    """
    known = {each.copy.source: each for each in await progress(connection, model.name)}
    reasons: list[str] = []
    steps: dict[str, list[str]] = {}
    for entity in entities:
        found = await _of_another(connection, entity, captures[table_of(entity)], known)
        if found:
            steps.setdefault("migrate copy --restart", []).append(entity.source_name)
        elif complete and (lacking := await _lacking(connection, entity, known)):
            steps.setdefault("migrate copy", []).append(entity.source_name)
            found = [lacking]
        reasons += found
    name = "every table is copied under this mapping, and was followed from the copy's start"
    if not complete:
        name = "what was copied is of this mapping, and was followed from its start"
    return Gate(name, tuple(reasons), tuple(f"{command} {' '.join(tables)}" for command, tables in steps.items()))


def table_of(entity: Entity) -> TableName:
    """The entity's source table."""
    return TableName(entity.source.name, entity.source.schema)


def _faults_of(captures: Mapping[TableName, Capture]) -> Iterable[Fault]:
    return (fault for captured in captures.values() for fault in captured.faults)


async def _of_another(
    connection: Connection, entity: Entity, captured: Capture, known: Mapping[str, Progress]
) -> list[str]:
    """Why the copy on record cannot be built upon, if there is one."""
    live = await catalog.read(connection, table_of(entity))
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


async def _lacking(connection: Connection, entity: Entity, known: Mapping[str, Progress]) -> str | None:
    """Why an entity's rows are not all copied, if they are not."""
    live = await catalog.read(connection, table_of(entity))
    found = None if live is None else known.get(str(live.table))
    if found is None:
        return f"{entity.source_name} is not copied"
    return None if found.copy.finished_at else f"the copy of {entity.source_name} is not complete"
