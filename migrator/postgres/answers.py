"""Answers to an application's questions: statements of SQLAlchemy's, on the toolkit's own sessions.

Answers are read as keys, in the statement's order; the rows are then read as rows always are (`RowSource`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import asyncpg

from migrator.postgres.catalog import estimated_rows
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Select

    from migrator.postgres.catalog import LiveTable
    from migrator.postgres.connection import Connection
    from migrator.postgres.rows import Key

_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]
# Up to here a sample is drawn from the whole table; above, from so many rows, in blocks taken at random.
_SAMPLED_ROWS: Final = 100_000


async def keys(connection: Connection, live: LiveTable, statement: sa.Select[Any], limit: int) -> list[Key]:
    """Return the primary keys of the first `limit` rows that a statement on this table selects, in its order.

    Raises:
        SourceError: PostgreSQL cannot be reached, the role may not read the table, or the table has changed.
    """
    (source,) = statement.get_final_froms()
    columns = [sa.cast(source.c[name], sa.Text).label(f"k{number}") for number, name in enumerate(live.key)]
    text, values = _compiled(statement.with_only_columns(*columns).limit(limit))
    with errors_explained(f"read {live.table}", connection=connection, table=live.table):
        # Sessions read tables in the order of an index. An answer may have none, and is sorted.
        await connection.execute("SET LOCAL enable_sort = on")
        return [tuple(record) for record in await connection.fetch(text, *values)]


def _compiled(statement: Select[*tuple[Any, ...]]) -> tuple[str, list[Any]]:
    """A statement as asyncpg takes it, and its values in the order of their numbers."""
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    values = compiled.construct_params()
    return str(compiled), [_bound(compiled, name, values[name]) for name in compiled.positiontup or ()]


def _bound(compiled: Any, name: str, value: object) -> object:  # noqa: ANN401 - SQLAlchemy exports no name for it
    """A value as its type has it sent: of an enum, the label."""
    # Of a list's members, which are numbered, the list has the type.
    bind = compiled.binds[name if name in compiled.binds else name.rpartition("_")[0]]
    process = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    return value if process is None else process(value)


async def drawn(connection: Connection, live: LiveTable, columns: Sequence[str], count: int, seed: str) -> list[Key]:
    """Return one row's key for each of at most `count` sets of values that these columns have, none of them NULL.

    Which ones, `seed` decides: the same of the same rows, others with another seed.

    Raises:
        SourceError: as `keys`.
    """
    rows = await estimated_rows(connection, live)
    sample = "" if rows <= _SAMPLED_ROWS else f" TABLESAMPLE SYSTEM ({100 * _SAMPLED_ROWS / rows:.6f})"
    names = [f"source.{quoted(name)}" for name in columns]
    key = [f"source.{quoted(name)}::text AS k{number}" for number, name in enumerate(live.key)]
    drawn_by = " || '/' || ".join([f"{name}::text" for name in names] or ["''"])
    statement = (
        f"SELECT {', '.join(f'k{number}' for number in range(len(key)))} "  # noqa: S608 - names are quoted
        f"FROM (SELECT DISTINCT ON ({', '.join(names) or '1'}) {', '.join(key)}, md5({drawn_by} || $1::text) AS place "
        f"FROM {live.table.sql} AS source{sample} "
        f"WHERE {' AND '.join(f'{name} IS NOT NULL' for name in names) or 'true'}) AS found "
        "ORDER BY place LIMIT $2"
    )
    with errors_explained(f"draw questions from {live.table}", connection=connection, table=live.table):
        return [tuple(record) for record in await connection.fetch(statement, seed, count)]
