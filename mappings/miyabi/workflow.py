"""WORKFLOW: listed under its repository."""

from __future__ import annotations

from mappings.miyabi.schema import workflows
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Get, Item, Pattern, Query

c = workflows.c

WORKFLOW = Entity(
    "WORKFLOW",
    source=workflows,
    table=TABLE,
    items=[
        Item("REPO#{repository_id}", "WORKFLOW#{id}"),
    ],
    data=[
        Attribute("name", c.name),
        Attribute("description", c.description),
        Attribute("dagDefinition", c.dag_definition),
        Attribute("isActive", c.is_active),
    ],
    attributes=stamps(c.created_at, c.updated_at),
)

PATTERNS: list[Pattern] = [
    Query("AP10", "a repository's workflows", WORKFLOW),
    Get("AP10-one", "one of a repository's workflows", WORKFLOW),
]
