"""The source schema of `miyabi`: eleven PostgreSQL tables, which are Alembic's target metadata.

A table's indexes are those that its access patterns need in SQL.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

INSTANT = DateTime(timezone=True)
# Python's None is SQL NULL: SQLAlchemy would otherwise store the JSON value null, which is something else.
DOCUMENT = JSONB(none_as_null=True)

organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("github_org_id", BigInteger),
    Column("plan", Text),
    Column("billing_email", Text),
    Column("settings", DOCUMENT),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("github_id", BigInteger, nullable=False, unique=True),
    Column("email", Text),
    Column("name", Text),
    Column("avatar_url", Text),
    Column("access_token", Text),
    Column("org_id", Text, ForeignKey("organizations.id")),
    Column("org_role", Text),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "org_id"),
)

organization_members = Table(
    "organization_members",
    metadata,
    Column("org_id", Text, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("role", Text),
    Column("permissions", ARRAY(Text)),
    Column("joined_at", INSTANT, nullable=False),
)

repositories = Table(
    "repositories",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("org_id", Text),
    Column("github_repo_id", BigInteger),
    Column("owner", Text),
    Column("name", Text),
    Column("full_name", Text),
    Column("is_active", Boolean),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "user_id"),
    Index(None, "org_id"),
)

agent_executions = Table(
    "agent_executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repository_id", Text, ForeignKey("repositories.id"), nullable=False),
    Column("issue_number", Integer),
    Column("agent_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", INSTANT, nullable=False),
    Column("completed_at", INSTANT),
    Column("result_summary", DOCUMENT),
    Column("quality_score", Numeric(5, 2)),
    Column("pr_number", Integer),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "repository_id", "started_at"),
    Index(None, "status", "started_at"),
    Index(None, "agent_type", "started_at"),
)

workflows = Table(
    "workflows",
    metadata,
    Column("id", Text, primary_key=True),
    Column("repository_id", Text, ForeignKey("repositories.id"), nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("dag_definition", DOCUMENT),
    Column("is_active", Boolean),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "repository_id"),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("repository_id", Text),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("priority", Text),
    Column("status", Text, nullable=False),
    Column("agent_type", Text),
    Column("issue_number", Integer),
    Column("retry_count", Integer),
    Column("max_retries", Integer),
    Column("metadata", DOCUMENT),
    Column("created_at", INSTANT, nullable=False),
    Column("updated_at", INSTANT, nullable=False),
    Index(None, "user_id"),
    Index(None, "status", "created_at"),
)

task_dependencies = Table(
    "task_dependencies",
    metadata,
    Column("task_id", Text, primary_key=True),
    Column("depends_on_task_id", Text, primary_key=True),
    Column("created_at", INSTANT, nullable=False),
)

websocket_connections = Table(
    "websocket_connections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("connected_at", INSTANT, nullable=False),
    Column("last_ping_at", INSTANT),
    Column("ttl", BigInteger),  # Unix seconds
    Index(None, "user_id"),
)

line_messages = Table(
    "line_messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id"), nullable=False),
    Column("line_user_id", Text),
    Column("message_type", Text),
    Column("content", Text),
    Column("metadata", DOCUMENT),
    Column("created_at", INSTANT, nullable=False),
    Index(None, "user_id", "created_at"),
)

execution_logs = Table(
    "execution_logs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("execution_id", Text, ForeignKey("agent_executions.id"), nullable=False),
    Column("log_level", Text),
    Column("message", Text),
    Column("metadata", DOCUMENT),
    Column("created_at", INSTANT, nullable=False),
    Index(None, "execution_id", "created_at"),
)
