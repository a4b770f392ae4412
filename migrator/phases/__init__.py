"""Phases: where a model is on its way, which moves are legal, and the gates that a move has to pass.

A move is recorded in PostgreSQL in one transaction. Relays, mirrors and copies read the phase with every snapshot, so
nothing has to be told to them.
"""

from __future__ import annotations

from migrator.phases.gate import Gate
from migrator.phases.groups import groups
from migrator.phases.move import examine, move, phase_before
from migrator.phases.plan import Plan, planned
from migrator.phases.terms import Terms

__all__ = ["Gate", "Plan", "Terms", "examine", "groups", "move", "phase_before", "planned"]
