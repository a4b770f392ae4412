"""The reference model: the store of a GitHub automation service, eleven source tables in one DynamoDB table."""

from __future__ import annotations

from mappings.miyabi import (
    agent_execution,
    execution_log,
    line_message,
    org_member,
    organization,
    repository,
    task,
    task_dependency,
    user,
    websocket,
    workflow,
)
from migrator.mapping import Model

MODEL = Model(
    "miyabi",
    entities=[
        organization.ORGANIZATION,
        user.USER,
        org_member.ORG_MEMBER,
        repository.REPOSITORY,
        agent_execution.AGENT_EXECUTION,
        workflow.WORKFLOW,
        task.TASK,
        task_dependency.TASK_DEPENDENCY,
        websocket.WEBSOCKET,
        line_message.LINE_MESSAGE,
        execution_log.EXECUTION_LOG,
    ],
    patterns=[
        *organization.PATTERNS,
        *user.PATTERNS,
        *org_member.PATTERNS,
        *repository.PATTERNS,
        *agent_execution.PATTERNS,
        *workflow.PATTERNS,
        *task.PATTERNS,
        *task_dependency.PATTERNS,
        *websocket.PATTERNS,
        *line_message.PATTERNS,
        *execution_log.PATTERNS,
    ],
)

__all__ = ["MODEL"]
