"""The gates before `read_target`: from there on the application is answered by the target, which has to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.mapping import entity_fingerprint
from migrator.phases.evidence import captures_of, copied, declared, of_faults, table_of
from migrator.phases.gate import Gate
from migrator.postgres import catalog, pending, proof

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Entity, Model
    from migrator.phases.terms import Terms
    from migrator.postgres.capture import Capture
    from migrator.postgres.connection import Connection
    from migrator.postgres.identifiers import TableName
    from migrator.postgres.phases import Standing

_PROMOTED: Final = "promoted"


async def gates(
    connection: Connection,
    model: Model,
    entities: Sequence[Entity],
    standings: Mapping[str, Standing],
    terms: Terms,
) -> list[Gate]:
    """The gates, as they are now. Nothing is changed: a session that only reads will do.

    Args:
        connection: a session on the source.
        model: the model.
        entities: those that enter the phase.
        standings: where the model's entities are; what is complete needs no proof any more.
        terms: the bounds.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    ended = {name for name, at in standings.items() if at.phase == "complete"}
    living = [each for each in model.entities if each.name not in ended]
    captures = await captures_of(connection, model, entities)
    return [
        await declared(connection, entities),
        *_captured(captures),
        await copied(connection, model, entities, captures, complete=True),
        *await _drained(connection, entities, terms),
        await _verified(connection, model, living, terms),
        await _answered(connection, model, entities),
    ]


def same_mapping(entities: Sequence[Entity], standings: Mapping[str, Standing]) -> Gate:
    """Entities that are in the phase already came there by this mapping: another reads other items."""
    reasons = []
    for entity in entities:
        at = standings.get(entity.name)
        if at is not None and at.fingerprint not in {None, entity_fingerprint(entity)}:
            reasons.append(f"{entity.name} moved to {at.phase} under another mapping")
    step = "give the mapping that it moved under, or go back with `migrate rollback`"
    return Gate("the phase on record is of this mapping", tuple(reasons), (step,) if reasons else ())


def _captured(captures: Mapping[TableName, Capture]) -> list[Gate]:
    faults = [fault for captured in captures.values() for fault in captured.faults]
    return [
        of_faults("every change is marked", (fault for fault in faults if fault.kind != _PROMOTED)),
        of_faults("no promotion of the source is unsettled", (fault for fault in faults if fault.kind == _PROMOTED)),
    ]


async def _drained(connection: Connection, entities: Sequence[Entity], terms: Terms) -> list[Gate]:
    found = [await catalog.read(connection, table_of(entity)) for entity in entities]
    backlog = await pending.backlog(connection, [str(live.table) for live in found if live is not None])
    many = backlog.waiting > terms.max_marks
    late = backlog.lag > terms.max_lag
    waiting = f"{backlog.waiting:,} changes wait" if many else None
    aside = f"{backlog.set_aside:,} changes are set aside" if backlog.set_aside else None
    steps = ["see that `migrate relay` runs and keeps up"] if many else []
    steps += ["`migrate status` names what is set aside: correct it, then `migrate relay`"] if aside else []
    return [
        Gate(
            f"at most {terms.max_marks:,} changes wait, and none is set aside",
            tuple(reason for reason in (waiting, aside) if reason),
            tuple(steps),
        ),
        Gate(
            f"no change waits for more than {terms.max_lag:,.0f} s",
            (f"the oldest change waits for {backlog.lag:,.0f} s",) if late else (),
            ("see that `migrate relay` runs and keeps up",) if late else (),
        ),
    ]


async def _verified(connection: Connection, model: Model, living: Sequence[Entity], terms: Terms) -> Gate:
    reasons = await proof.objections(
        connection,
        model.name,
        fingerprint=model.fingerprint,
        tables=[entity.source_name for entity in living],
        max_age=terms.max_age,
    )
    steps = ("migrate verify, or `migrate verify --repair` where there are differences",) if reasons else ()
    return Gate("a verification of everything is clean, fresh and of this mapping", tuple(reasons), steps)


async def _answered(connection: Connection, model: Model, entities: Sequence[Entity]) -> Gate:
    names = {entity.name for entity in entities}
    patterns = [pattern.id for pattern in model.patterns if pattern.entity.name in names]
    reasons = await proof.unproven(connection, model.name, patterns)
    return Gate(
        "each access pattern answers as the source does", tuple(reasons), ("migrate verify",) if reasons else ()
    )
