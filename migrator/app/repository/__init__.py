"""Repositories: an entity's rows as pydantic models, read from the store that the phase names, written to the master.

What is a key, an item, a tombstone or an index is the mapping's affair: the application names entities, columns and
access patterns.
"""

from __future__ import annotations

from migrator.app.errors import (
    ConflictError,
    FencedError,
    NotFoundError,
    PausedError,
    ThrottledError,
    UnavailableError,
)
from migrator.app.repository.asynchronous import AsyncRepository
from migrator.app.repository.record import Record
from migrator.app.repository.synchronous import Repository

__all__ = [
    "AsyncRepository", "ConflictError", "FencedError", "NotFoundError", "PausedError", "Record", "Repository",
    "ThrottledError", "UnavailableError",
]  # fmt: skip
