"""A shop whose changes are followed: what `migrate` is told about time, and what the source is made to do."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from migrator.postgres.capture import create_statements, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.project import Project

SECONDS = {
    "MIGRATOR_REQUEST_SECONDS": "1",
    "MIGRATOR_PAGE_SECONDS": "1",
    "MIGRATOR_SIGNATURE_SECONDS": "0.2",
    "MIGRATOR_CLOCK_SKEW_SECONDS": "0",
}
"""A request lives a little over a second."""


def captured(project: Project) -> Project:
    """Install capture as the mapping wants it; the project returned has requests that live for seconds."""
    for table, columns in wanted([project.model]).items():
        project.database.execute(*create_statements(table, columns))
    return project.through(**SECONDS)


def following(project: Project) -> Project:
    """Capture, copy, and move to dual_write."""
    quick = captured(project)
    quick.here("copy").succeeded()
    quick.here("switch", "dual-write", "--wait", "-y").succeeded()
    return quick


@contextmanager
def holding(project: Project, statement: str) -> Iterator[Callable[[str], Any]]:
    """Run a statement in a transaction that stays open; yields a function that asks in it for a value."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(project.database.url))
        try:
            runner.run(connection.execute(f"begin; {statement}"))
            yield lambda query: runner.run(connection.fetchval(query))
        finally:
            runner.run(connection.close())
