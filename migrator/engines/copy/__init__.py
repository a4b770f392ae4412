"""Copy: the rows of the source, in key order, into the target, so that it can be killed at any moment and go on.

A table is cut into ranges of keys; a range is read in pages, each page encoded, written, and only then settled in the
checkpoint. Writing an item again writes the same item, so what is not settled is simply done again.
"""

from __future__ import annotations

from migrator.engines.copy.job import Limits, Outcome, TablePlan, copy, plan, plan_table, records
from migrator.engines.copy.path import Path
from migrator.engines.copy.progress import Listener, Settled, Silent, Tally

__all__ = [
    "Limits", "Listener", "Outcome", "Path", "Settled", "Silent", "TablePlan", "Tally",
    "copy", "plan", "plan_table", "records",
]  # fmt: skip
