"""Moves between phases: each passes its gates, and is recorded in one transaction or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from migrator.errors import GateError, LockedError
from migrator.mapping import entity_fingerprint
from migrator.phases.gate import Gate
from migrator.phases.groups import members
from migrator.phases.plan import BACK, check, planned
from migrator.phases.session import session
from migrator.phases.terms import Terms
from migrator.postgres import phases
from migrator.postgres.locks import lock, of_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.mapping import Model
    from migrator.phases.plan import Plan
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Phase

TERMS: Final = Terms()


async def examine(model: Model, database_url: str | None, to: Phase, *, life: float, terms: Terms = TERMS) -> Plan:
    """What a move would pass, without making it.

    Args:
        model: the model.
        database_url: the source; None: as the environment says.
        to: where it is to go.
        life: how many seconds a request lives (`Times.life`); the same for all that write for the model.
        terms: which entities, how, and within which bounds.

    Raises:
        UsageError: the terms mean nothing.
        ConfigurationError: `prepare` has not been run.
        SourceError: PostgreSQL cannot be reached.
    """
    terms = _directed(to, terms)
    check(to, terms)
    async with session(database_url) as connection:
        try:
            async with lock(connection, of_copies(model.name)):
                return await planned(connection, model, to, life=life, terms=terms)
        except LockedError as error:
            plan = await planned(connection, model, to, life=life, terms=terms)
            if not plan.entities:
                return plan
            held = Gate("no copy and no other move runs", (error.what,), (error.next_step or "",))
            return replace(plan, gates=(*plan.gates, held))


async def move(
    model: Model,
    database_url: str | None,
    to: Phase,
    *,
    life: float,
    terms: Terms = TERMS,
    waiting: Callable[[float], None] | None = None,
) -> Plan:
    """Moves entities of a model to a phase, all that are asked for or none; those that are there already stay.

    Args:
        model: the model.
        database_url: the source; None: as the environment says.
        to: where it is to go.
        life: how many seconds a request lives (`Times.life`).
        terms: which entities, how, and within which bounds.
        waiting: called with the seconds that a gate needs to open by itself, before they are waited for; without it,
            such a gate refuses as others do.

    Raises:
        GateError: a gate refuses. Nothing was moved.
        LockedError: a copy runs, or another move.
        UsageError, ConfigurationError, SourceError: as `examine`.
    """
    terms = _directed(to, terms)
    check(to, terms)
    async with session(database_url) as connection:
        plan = await planned(connection, model, to, life=life, terms=terms)
        if not plan.entities:
            return plan
        # Kept while it waits: no copy begins meanwhile, after which all of the time would have to be waited again.
        async with lock(connection, of_copies(model.name)):
            while True:
                plan = await planned(connection, model, to, life=life, terms=terms)
                wait = max((gate.wait for gate in plan.closed), default=0.0)
                if waiting is not None and wait and all(gate.wait for gate in plan.closed):
                    waiting(wait)
                    await asyncio.sleep(wait)
                elif plan.closed:
                    raise refused(model, plan)
                elif not plan.entities or await _record(connection, model, plan, 0.0 if terms.back else life):
                    return plan


async def phase_before(model: Model, database_url: str | None, entities: Sequence[str] = ()) -> Phase:
    """The phase that a move back leads to: the one before that of those entities, or of all, which are furthest on.

    Out of `write_target`, `return_writes` leads, whichever phase it ends in.

    Raises:
        UsageError: a name is no entity of the model.
        ConfigurationError, SourceError: as `examine`.
    """
    async with session(database_url) as connection:
        at = await phases.standings(connection, model.name)
    reached = {at[each.name].phase for each in members(model, entities) if each.name in at}
    if "write_target" in reached:
        return "read_target"
    return next((to for to, left in BACK.items() if left in reached), "prepare")


async def _record(connection: Connection, model: Model, plan: Plan, life: float) -> bool:
    """Records a move; returns False where a copy has sent something since its gates were looked at."""
    return await phases.move(
        connection,
        model.name,
        plan.entities,
        plan.to,
        percent=plan.percent,
        fingerprints={each.name: entity_fingerprint(each) for each in model.entities if each.name in plan.entities},
        quiet=life if plan.to == "dual_write" else 0.0,
    )


def _directed(to: Phase, terms: Terms) -> Terms:
    """The terms with the one direction in which the first phase can be entered."""
    return replace(terms, back=True) if to == "prepare" else terms


def refused(model: Model, plan: Plan) -> GateError:
    """The error for a move whose gates are not all open."""
    closed = plan.closed
    who = model.name if len(plan.entities) == len(model.entities) else f"{model.name} ({', '.join(plan.entities)})"
    reasons = "\n  ".join(reason for gate in closed for reason in gate.reasons)
    steps = "; ".join(dict.fromkeys(step for gate in closed for step in gate.next_steps))
    return GateError(
        f"{who} cannot move to {plan.to}:\n  {reasons}",
        safe="nothing was moved",
        next_step=steps,
    )
