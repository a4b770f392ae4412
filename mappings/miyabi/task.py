"""TASK: listed under its user, and by status in order of creation."""

from __future__ import annotations

from mappings.miyabi.schema import tasks
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Item, Pattern, Query

c = tasks.c

TASK = Entity(
    "TASK",
    source=tasks,
    table=TABLE,
    items=[
        Item("USER#{user_id}", "TASK#{id}", indexes={"GSI1": ("TASK_STATUS#{status}", "{created_at}")}),
    ],
    data=[
        Attribute("repositoryId", c.repository_id),
        Attribute("name", c.name),
        Attribute("description", c.description),
        Attribute("priority", c.priority),
        Attribute("status", c.status),
        Attribute("agentType", c.agent_type),
        Attribute("issueNumber", c.issue_number),
        Attribute("retryCount", c.retry_count),
        Attribute("maxRetries", c.max_retries),
        Attribute("metadata", c.metadata),
    ],
    attributes=stamps(c.created_at, c.updated_at),
)

PATTERNS: list[Pattern] = [
    Query("AP6", "a user's tasks", TASK),
    Query("tasks-by-status", "tasks by status (the pending ones, say), oldest first", TASK, index="GSI1"),
]
