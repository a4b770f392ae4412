"""Moves between phases: each passes its gates, and is recorded in one transaction or not at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from migrator.errors import GateError, LockedError
from migrator.phases import dual_write
from migrator.phases.gate import Gate
from migrator.postgres import phases, state
from migrator.postgres.connection import connect
from migrator.postgres.locks import lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from migrator.mapping import Model
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Phase

FROM: Final[Mapping[Phase, Phase]] = {"dual_write": "prepare", "prepare": "dual_write"}
"""The legal moves: by the phase to move to, the one to come from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A move: the phase to move to, the entities that are not there yet, and the gates they have to pass."""

    to: Phase
    entities: tuple[str, ...]
    gates: tuple[Gate, ...] = ()

    @property
    def closed(self) -> list[Gate]:
        """The gates that refuse it."""
        return [gate for gate in self.gates if not gate.is_open]


async def examine(model: Model, database_url: str | None, to: Phase, *, life: float) -> Plan:
    """What a move would pass, without making it.

    Args:
        model: the model, of which all entities move together.
        database_url: the source; None: as the environment says.
        to: where it is to go.
        life: how many seconds a request lives (`Times.life`); the same for all that write for the model.

    Raises:
        ConfigurationError: `prepare` has not been run.
        SourceError: PostgreSQL cannot be reached.
    """
    async with _session(database_url) as connection:
        try:
            async with lock(connection, _lock(model)):
                return await _plan(connection, model, to, life)
        except LockedError as error:
            plan = await _plan(connection, model, to, life)
            if not plan.entities:
                return plan
            return Plan(to, plan.entities, (*plan.gates, Gate("no copy runs", (error.what,), (error.next_step or "",))))


async def move(
    model: Model,
    database_url: str | None,
    to: Phase,
    *,
    life: float,
    waiting: Callable[[float], None] | None = None,
) -> Plan:
    """Moves all entities of a model to a phase, or none; where all are there already, nothing is done.

    Args:
        model: the model, of which all entities move together.
        database_url: the source; None: as the environment says.
        to: where it is to go.
        life: how many seconds a request lives (`Times.life`).
        waiting: called with the seconds that a gate needs to open by itself, before they are waited for; without it,
            such a gate refuses as others do.

    Raises:
        GateError: a gate refuses. Nothing was moved.
        LockedError: a copy runs, or another move.
        ConfigurationError, SourceError: as `examine`.
    """
    async with _session(database_url) as connection:
        plan = await _plan(connection, model, to, life)
        if not plan.entities:
            return plan
        # Kept while it waits: no copy begins meanwhile, after which all of the time would have to be waited again.
        async with lock(connection, _lock(model)):
            while True:
                plan = await _plan(connection, model, to, life)
                wait = max((gate.wait for gate in plan.closed), default=0.0)
                if waiting is not None and wait and all(gate.wait for gate in plan.closed):
                    waiting(wait)
                    await asyncio.sleep(wait)
                elif plan.closed:
                    raise _refused(model, plan)
                elif await _record(connection, model, plan, life):
                    return plan


async def _record(connection: Connection, model: Model, plan: Plan, life: float) -> bool:
    """Records a move; returns False where a copy has sent something since its gates were looked at."""
    quiet = life if plan.to == "dual_write" else 0.0
    return await phases.move(connection, model.name, plan.entities, plan.to, quiet=quiet)


@asynccontextmanager
async def _session(database_url: str | None) -> AsyncIterator[Connection]:
    connection = await connect(database_url, purpose="switch")
    try:
        await state.require(connection)
        yield connection
    finally:
        await connection.close()


def _lock(model: Model) -> str:
    """A copy holds it while it runs."""
    return f"copy:{model.name}"


async def _plan(connection: Connection, model: Model, to: Phase, life: float) -> Plan:
    standings = await phases.standings(connection, model.name)
    at = {entity.name: standings.get(entity.name, phases.Standing()).phase for entity in model.entities}
    leaving = tuple(name for name, phase in at.items() if phase != to)
    if not leaving:
        return Plan(to, ())
    elsewhere = [f"{name} is in {at[name]}" for name in leaving if at[name] != FROM[to]]
    steps = ("migrate status",) if elsewhere else ()
    gates = [Gate(f"{to} can be entered from {FROM[to]}", tuple(elsewhere), steps)]
    if to == "dual_write" and not elsewhere:
        gates += await dual_write.gates(connection, model, life=life)
    return Plan(to, leaving, tuple(gates))


def _refused(model: Model, plan: Plan) -> GateError:
    closed = plan.closed
    reasons = "\n  ".join(reason for gate in closed for reason in gate.reasons)
    steps = "; ".join(dict.fromkeys(step for gate in closed for step in gate.next_steps))
    return GateError(
        f"{model.name} cannot move to {plan.to}:\n  {reasons}",
        safe="nothing was moved",
        next_step=steps,
    )
