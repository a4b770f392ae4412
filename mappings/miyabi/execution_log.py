"""EXECUTION_LOG: in time order under its execution, kept for 30 days."""

from __future__ import annotations

from datetime import timedelta

from mappings.miyabi.schema import execution_logs
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import Attribute, Entity, Expiry, Item, Pattern, Query

c = execution_logs.c

EXECUTION_LOG = Entity(
    "EXECUTION_LOG",
    source=execution_logs,
    table=TABLE,
    items=[
        Item("EXEC#{execution_id}", "LOG#{created_at}#{id}"),
    ],
    data=[
        Attribute("logLevel", c.log_level),
        Attribute("message", c.message),
        Attribute("metadata", c.metadata),
    ],
    attributes=stamps(c.created_at),
    ttl=Expiry(c.created_at, after=timedelta(days=30)),
)

PATTERNS: list[Pattern] = [
    Query("execution-logs", "an execution's logs, in time order", EXECUTION_LOG),
]
