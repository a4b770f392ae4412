"""Phases: where a model is on its way, which moves are legal, and the gates that a move has to pass.

A move is recorded in PostgreSQL in one transaction. Relays, mirrors and copies read the phase with every snapshot, so
nothing has to be told to them.
"""

from __future__ import annotations

from migrator.phases.gate import Gate
from migrator.phases.move import Plan, examine, move

__all__ = ["Gate", "Plan", "examine", "move"]
