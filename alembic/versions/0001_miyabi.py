"""The source schema of `miyabi`.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables, parents first."""
    _create_accounts()
    _create_repositories()
    _create_executions()
    _create_tasks()
    _create_conversations()


def downgrade() -> None:
    """Drop the tables with all their rows, children first."""
    op.drop_table("execution_logs")
    op.drop_table("line_messages")
    op.drop_table("websocket_connections")
    op.drop_table("task_dependencies")
    op.drop_table("tasks")
    op.drop_table("workflows")
    op.drop_table("agent_executions")
    op.drop_table("repositories")
    op.drop_table("organization_members")
    op.drop_table("users")
    op.drop_table("organizations")


def _create_accounts() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("github_org_id", sa.BigInteger),
        sa.Column("plan", sa.Text),
        sa.Column("billing_email", sa.Text),
        sa.Column("settings", postgresql.JSONB),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organizations"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("github_id", sa.BigInteger, nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("avatar_url", sa.Text),
        sa.Column("access_token", sa.Text),
        sa.Column("org_id", sa.Text),
        sa.Column("org_role", sa.Text),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("github_id", name="uq_users_github_id"),
        sa.ForeignKeyConstraint(["org_id"], ["organizations.id"], name="fk_users_org_id"),
    )
    op.create_index("ix_users_org_id", "users", ["org_id"])
    op.create_table(
        "organization_members",
        sa.Column("org_id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("permissions", postgresql.ARRAY(sa.Text)),
        sa.Column("joined_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("org_id", "user_id", name="pk_organization_members"),
    )


def _create_repositories() -> None:
    op.create_table(
        "repositories",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("org_id", sa.Text),
        sa.Column("github_repo_id", sa.BigInteger),
        sa.Column("owner", sa.Text),
        sa.Column("name", sa.Text),
        sa.Column("full_name", sa.Text),
        sa.Column("is_active", sa.Boolean),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_repositories"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_repositories_user_id"),
    )
    op.create_index("ix_repositories_user_id", "repositories", ["user_id"])
    op.create_index("ix_repositories_org_id", "repositories", ["org_id"])
    op.create_table(
        "workflows",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("repository_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("dag_definition", postgresql.JSONB),
        sa.Column("is_active", sa.Boolean),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflows"),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name="fk_workflows_repository_id"),
    )
    op.create_index("ix_workflows_repository_id", "workflows", ["repository_id"])


def _create_executions() -> None:
    op.create_table(
        "agent_executions",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("repository_id", sa.Text, nullable=False),
        sa.Column("issue_number", sa.Integer),
        sa.Column("agent_type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("started_at", INSTANT, nullable=False),
        sa.Column("completed_at", INSTANT),
        sa.Column("result_summary", postgresql.JSONB),
        sa.Column("quality_score", sa.Numeric(5, 2)),
        sa.Column("pr_number", sa.Integer),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_agent_executions"),
        sa.ForeignKeyConstraint(["repository_id"], ["repositories.id"], name="fk_agent_executions_repository_id"),
    )
    op.create_index("ix_agent_executions_repository_id_started_at", "agent_executions", ["repository_id", "started_at"])
    op.create_index("ix_agent_executions_status_started_at", "agent_executions", ["status", "started_at"])
    op.create_index("ix_agent_executions_agent_type_started_at", "agent_executions", ["agent_type", "started_at"])
    op.create_table(
        "execution_logs",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("execution_id", sa.Text, nullable=False),
        sa.Column("log_level", sa.Text),
        sa.Column("message", sa.Text),
        sa.Column("metadata", postgresql.JSONB),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_execution_logs"),
        sa.ForeignKeyConstraint(["execution_id"], ["agent_executions.id"], name="fk_execution_logs_execution_id"),
    )
    op.create_index("ix_execution_logs_execution_id_created_at", "execution_logs", ["execution_id", "created_at"])


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("repository_id", sa.Text),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("priority", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("agent_type", sa.Text),
        sa.Column("issue_number", sa.Integer),
        sa.Column("retry_count", sa.Integer),
        sa.Column("max_retries", sa.Integer),
        sa.Column("metadata", postgresql.JSONB),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tasks_user_id"),
    )
    op.create_index("ix_tasks_user_id", "tasks", ["user_id"])
    op.create_index("ix_tasks_status_created_at", "tasks", ["status", "created_at"])
    op.create_table(
        "task_dependencies",
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("depends_on_task_id", sa.Text, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("task_id", "depends_on_task_id", name="pk_task_dependencies"),
    )


def _create_conversations() -> None:
    op.create_table(
        "websocket_connections",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("connected_at", INSTANT, nullable=False),
        sa.Column("last_ping_at", INSTANT),
        sa.Column("ttl", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_websocket_connections"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_websocket_connections_user_id"),
    )
    op.create_index("ix_websocket_connections_user_id", "websocket_connections", ["user_id"])
    op.create_table(
        "line_messages",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("line_user_id", sa.Text),
        sa.Column("message_type", sa.Text),
        sa.Column("content", sa.Text),
        sa.Column("metadata", postgresql.JSONB),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_line_messages"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_line_messages_user_id"),
    )
    op.create_index("ix_line_messages_user_id_created_at", "line_messages", ["user_id", "created_at"])
