"""The gates before `dual_write`: from there on relays and mirrors write, on conditions that must mean something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.phases.evidence import captured, captures_of, copied, declared
from migrator.phases.gate import MARGIN, Gate
from migrator.postgres import phases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.mapping import Entity, Model
    from migrator.postgres.connection import Connection


async def gates(connection: Connection, model: Model, entities: Sequence[Entity], *, life: float) -> list[Gate]:
    """The gates, as they are now.

    Args:
        connection: a session on the primary.
        model: the model.
        entities: those that move.
        life: how many seconds a request lives (`Times.life`).

    Raises:
        SourceError: PostgreSQL cannot be reached.
    """
    captures = await captures_of(connection, model, entities)
    return [
        await declared(connection, entities),
        captured(captures),
        await copied(connection, model, entities, captures, complete=False),
        await quiet(connection, model.name, life),
    ]


async def quiet(connection: Connection, model: str, life: float) -> Gate:
    """Nothing can arrive any more that a copy has sent, however it has ended: it would be put over newer items."""
    name = "no request of a copy can arrive any more"
    seconds = await phases.seconds_since_sent(connection, model)
    if seconds is None or seconds >= life:
        return Gate(name)
    left = life - seconds + MARGIN
    return Gate(
        name,
        (f"a copy may have sent its last request {seconds:,.0f} seconds ago, and a request lives {life:,.0f}",),
        (f"wait {left:,.0f} seconds, or give --wait",),
        left,
    )
