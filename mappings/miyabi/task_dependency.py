"""TASK_DEPENDENCY: what a task waits for, under the task."""

from __future__ import annotations

from mappings.miyabi.schema import task_dependencies
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Item, Pattern, Query

c = task_dependencies.c

TASK_DEPENDENCY = Entity(
    "TASK_DEPENDENCY",
    source=task_dependencies,
    table=TABLE,
    items=[
        Item("TASK#{task_id}", "DEP#{depends_on_task_id}"),
    ],
    data=[
        Attribute("dependsOnTaskId", c.depends_on_task_id),
    ],
    attributes=stamps(c.created_at),
)

PATTERNS: list[Pattern] = [
    Query("AP7", "what a task depends on", TASK_DEPENDENCY),
]
