"""AGENT_EXECUTION: in time order under its repository, by status and by kind of agent, and looked up by its own id."""

from __future__ import annotations

from mappings.miyabi.schema import agent_executions
from mappings.miyabi.table import TABLE, stamps
from migrator.mapping import NULL, Attribute, Entity, Get, Item, Pattern, Query, only, without

c = agent_executions.c

AGENT_EXECUTION = Entity(
    "AGENT_EXECUTION",
    source=agent_executions,
    table=TABLE,
    null=NULL,
    items=[
        Item(
            "REPO#{repository_id}",
            "EXEC#{started_at}#{id}",
            data=without("repositoryId"),
            indexes={"GSI1": ("STATUS#{status}", "{started_at}")},
        ),
        Item(
            "EXEC#{id}",
            "METADATA",
            data=only("repositoryId", "issueNumber", "agentType", "status", "startedAt"),
            indexes={"GSI1": ("AGENT_TYPE#{agent_type}", "{started_at}")},
        ),
    ],
    data=[
        Attribute("repositoryId", c.repository_id),
        Attribute("issueNumber", c.issue_number),
        Attribute("agentType", c.agent_type),
        Attribute("status", c.status),
        Attribute("startedAt", c.started_at),
        Attribute("completedAt", c.completed_at),
        Attribute("resultSummary", c.result_summary),
        Attribute("qualityScore", c.quality_score),
        Attribute("prNumber", c.pr_number),
    ],
    attributes=stamps(c.created_at, c.updated_at),
)

PATTERNS: list[Pattern] = [
    Query("AP3", "a repository's executions, in time order", AGENT_EXECUTION),
    Get("AP4", "one execution by its id", AGENT_EXECUTION, item=1),
    Query("AP5", "executions by status, newest first", AGENT_EXECUTION, index="GSI1", descending=True),
    Query("executions-by-kind", "executions by kind of agent", AGENT_EXECUTION, item=1, index="GSI1"),
]
