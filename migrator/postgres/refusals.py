"""Rows that PostgreSQL does not take: which of its errors are about a row, and what they say without its values."""

from __future__ import annotations

from typing import Any, Final

import asyncpg

REFUSED: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    # What triggers of the table raise, values too large for an index, and keys that are equal only to PostgreSQL.
    asyncpg.RaiseError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.CardinalityViolationError,
)


def refusal(error: Any) -> str:  # noqa: ANN401 - one of those, which have no types
    """Why PostgreSQL does not take a row, without its values."""
    where = error.column_name or error.constraint_name
    kind = type(error).__name__.removesuffix("Error")
    return f"PostgreSQL does not take it back ({kind}{f' of {where}' if where else ''})"
