"""Tasks that run side by side and fail as one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from migrator.errors import MigratorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """Yields a group of tasks; when one fails, the others are cancelled and its failure is raised, not a group of them.

    Several tasks that fail at once do so, as a rule, for one reason. A failure that nobody foresaw goes before the
    expected ones, so that it is not hidden.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        expected, unforeseen = failures.split(MigratorError)
        first = _first(unforeseen or expected or failures)
        raise first from first.__cause__


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
