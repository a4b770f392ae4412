"""Classes on the tables of the reference model, as an application has them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import configure_mappers, registry, relationship

from mappings.miyabi import schema


class Row:
    """An object of any of the tables."""

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - of any type
        for name, value in values.items():
            setattr(self, name, value)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - what SQLAlchemy maps, mypy does not see
        raise AttributeError(name)


class Organization(Row):
    """A row of organizations."""


class Slim(Row):
    """A row of organizations, of which not all columns are mapped."""


class User(Row):
    """A row of users."""


class Task(Row):
    """A row of tasks; its attribute `metadata` is called `document`, as declarative classes must."""


class TaskDependency(Row):
    """A row of task_dependencies, whose key has two columns."""


class Log(Row):
    """A row of execution_logs."""


class Execution(Row):
    """A row of agent_executions. Its logs go with it."""

    logs: list[Log]


_registry = registry()
_registry.map_imperatively(Organization, schema.organizations)
_registry.map_imperatively(Slim, schema.organizations, include_properties=("id", "name", "created_at", "updated_at"))
_registry.map_imperatively(User, schema.users)
_registry.map_imperatively(Task, schema.tasks, properties={"document": schema.tasks.c.metadata})
_registry.map_imperatively(TaskDependency, schema.task_dependencies)
_registry.map_imperatively(
    Execution, schema.agent_executions, properties={"logs": relationship(Log, cascade="all, delete-orphan")}
)
_registry.map_imperatively(Log, schema.execution_logs, properties={"document": schema.execution_logs.c.metadata})
configure_mappers()


def _now() -> datetime:
    return datetime.now(UTC)


def organization(key: str, name: str = "an organization") -> Organization:
    return Organization(id=key, name=name, created_at=_now(), updated_at=_now())


def slim(key: str) -> Slim:
    return Slim(id=key, name="slim", created_at=_now(), updated_at=_now())


def user(number: int) -> User:
    return User(id=uuid.uuid5(uuid.NAMESPACE_OID, str(number)), github_id=-number, created_at=_now(), updated_at=_now())


def task(key: str, owner: uuid.UUID, status: str = "open") -> Task:
    return Task(id=key, user_id=owner, name=f"task {key}", status=status, created_at=_now(), updated_at=_now())
