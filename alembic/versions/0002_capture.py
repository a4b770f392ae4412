"""Capture on the tables of `miyabi`: from here on, every change of a row leaves a mark.

It is a revision of its own, so that rows can be loaded before it: each of them would leave a mark as well.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the triggers, of parents first."""
    op.create_capture("organizations", columns=["id"])
    op.create_capture("users", columns=["id"])
    op.create_capture("organization_members", columns=["org_id", "user_id"])
    op.create_capture("repositories", columns=["id", "user_id"])
    op.create_capture("agent_executions", columns=["id", "repository_id", "started_at"])
    op.create_capture("workflows", columns=["id", "repository_id"])
    op.create_capture("tasks", columns=["id", "user_id"])
    op.create_capture("task_dependencies", columns=["task_id", "depends_on_task_id"])
    op.create_capture("websocket_connections", columns=["id", "user_id"])
    op.create_capture("line_messages", columns=["id", "user_id", "created_at"])
    op.create_capture("execution_logs", columns=["id", "execution_id", "created_at"])


def downgrade() -> None:
    """Drop the triggers; marks, and the toolkit's schema, stay."""
    op.drop_capture("execution_logs")
    op.drop_capture("line_messages")
    op.drop_capture("websocket_connections")
    op.drop_capture("task_dependencies")
    op.drop_capture("tasks")
    op.drop_capture("workflows")
    op.drop_capture("agent_executions")
    op.drop_capture("repositories")
    op.drop_capture("organization_members")
    op.drop_capture("users")
    op.drop_capture("organizations")
