"""The gates before `write_target`: from there on the target is what counts, and the source is kept for the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.mapping import Inverse
from migrator.phases import read_target
from migrator.phases.gate import Gate
from migrator.postgres import rehearsals, verifications

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.mapping import Entity, Model
    from migrator.phases.terms import Terms
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Standing

_ALL: int = 100


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
        standings: where the entities are.
        terms: the bounds, and the entities that may lose the way back.

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    return [
        _read(entities, standings),
        *await read_target.gates(connection, model, entities, standings, terms),
        _invertible(entities, terms),
        _streamed(entities),
        await _rehearsed(connection, model, terms),
    ]


def _read(entities: Sequence[Entity], standings: Mapping[str, Standing]) -> Gate:
    """What is written in the target is read there, by everybody."""
    partly = [each.name for each in entities if standings[each.name].percent < _ALL]
    reasons = [f"{name} is read from the target for {standings[name].percent} % of its keys" for name in partly]
    return Gate("every read goes to the target", tuple(reasons), ("migrate switch reads",) if partly else ())


def _invertible(entities: Sequence[Entity], terms: Terms) -> Gate:
    """Rows can be made of items again, or somebody has agreed to lose the way back."""
    lost = {each.name: Inverse(each).lost for each in entities if each.name not in terms.one_way}
    reasons = [f"no item of {name} holds {', '.join(columns)}" for name, columns in lost.items() if columns]
    steps = [f"--without-way-back {name} gives up the way back for it" for name, columns in lost.items() if columns]
    return Gate("every item can be led back to its row", tuple(reasons), tuple(steps))


def _streamed(entities: Sequence[Entity]) -> Gate:
    """The mapping asks for a stream of each table: `prepare` turns it on, and the way back is read from it."""
    without = dict.fromkeys(each.table.name for each in entities if each.table.stream is None)
    steps = ('declare stream="NEW_AND_OLD_IMAGES" of the table, then `migrate prepare`',) if without else ()
    return Gate("each table has a stream", tuple(f"table {name} declares no stream" for name in without), steps)


async def _rehearsed(connection: Connection, model: Model, terms: Terms) -> Gate:
    """The way back was proven lately, under this mapping."""
    name, step = "the way back was rehearsed", "migrate rehearse"
    done = await rehearsals.latest(connection, model.name)
    if done is None:
        return Gate(name, ("it has not been rehearsed",), (step,))
    reasons = []
    if not done.proven:
        reasons.append("rows did not come back when it was rehearsed")
    if done.mapping_fingerprint != model.fingerprint:
        reasons.append("it was rehearsed under another mapping")
    age = await verifications.now(connection) - done.started_at
    if age > terms.max_age:
        reasons.append(f"it was rehearsed {str(age).partition('.')[0]} ago, and {terms.max_age} is the limit")
    return Gate(name, tuple(reasons), (step,) if reasons else ())
