"""Phases: where a model is on its way, which moves are legal, and the gates that a move has to pass.

A move is recorded in PostgreSQL in one transaction. Relays, mirrors and copies read the phase with every snapshot, so
nothing has to be told to them.
"""

from __future__ import annotations

from migrator.phases.completing import complete
from migrator.phases.course import Course
from migrator.phases.directions import Directions, Done
from migrator.phases.gate import Gate
from migrator.phases.groups import groups
from migrator.phases.move import examine, move, phase_before
from migrator.phases.opening import open_writes, ttl_due
from migrator.phases.plan import Plan, planned
from migrator.phases.returning import examine_return, return_writes
from migrator.phases.terms import Terms

__all__ = [
    "Course",
    "Directions",
    "Done",
    "Gate",
    "Plan",
    "Terms",
    "complete",
    "examine",
    "examine_return",
    "groups",
    "move",
    "open_writes",
    "phase_before",
    "planned",
    "return_writes",
    "ttl_due",
]
