"""`verify --repair` as the command does it, until what has happened unmarked is accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.engines.verify import Scope, Suspects, accept, look, repair, verify
from migrator.errors import GateError
from migrator.reconcile import Times

if TYPE_CHECKING:
    from migrator.engines.verify import Report
    from migrator.postgres.connection import Connection
    from tests.support.machine.clock import Clock
    from tests.support.migration import Migration

TIMES: Final = Times()
_MOST: Final = 5


class LostError(AssertionError):
    """Source and target do not agree where they must."""


async def repaired(migration: Migration, clock: Clock, control: Connection) -> bool:
    """A repair, again where requests of a copy may arrive yet; returns False where the phase does not allow any.

    Raises:
        LostError: it does not bring source and target in order.
    """
    model, entities = migration.model, migration.model.entities
    for _ in range(_MOST):
        try:
            await _verified(migration, repairing=True)
            outlook = await look(model, entities, migration.stores, life=TIMES.life)
            report = await _verified(migration)
        except GateError:
            return False
        if report.clean:
            await accept(migration.stores, list(outlook.acceptable.values()))
            if not outlook.early:
                return True
        await clock.forward(control, max(outlook.early.values(), default=0.0) + 1)
    raise LostError("a repair does not bring source and target in order")


async def _verified(migration: Migration, *, repairing: bool = False) -> Report:
    """A verification, and with `repairing` a repair after it."""
    model, entities = migration.model, migration.model.entities
    with Suspects() as suspects:
        report = await verify(
            model, entities, migration.stores, mappings=migration.mappings, scope=Scope(), suspects=suspects
        )
        if repairing:
            await repair(model, entities, migration.stores, suspects, times=TIMES)
    return report
