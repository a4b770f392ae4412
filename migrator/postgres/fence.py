"""The fence: tables that refuse every change while what they hold is written in DynamoDB.

The transaction that sets it waits for the writers in flight, and holds new ones up until it ends. Whoever writes after
that is told the phase, by an error of its own SQLSTATE: an application that goes by an older phase, and whoever knows
of none. A trigger on each table and on each of its partitions refuses, whatever the session's
`session_replication_role` is; a subscription of logical replication fires no such triggers, and is not held up.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from migrator.errors import ConfigurationError
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import TableName, literal
from migrator.postgres.queries import QUERIES, named_statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Phase

SQLSTATE: Final = "MG001"
"""Of the error that refuses a write."""
_STATEMENTS: Final = named_statements("fence.sql")


class _Part(NamedTuple):
    """A table or a partition, and what its fence was told; None: it has no fence that is whole."""

    table: TableName
    has_trigger: bool
    told: bytes | None


async def fence(
    connection: Connection, tables: Sequence[TableName], *, model: str, phase: Phase, patience: str = "5s"
) -> None:
    """Fence tables, in the caller's transaction; where one is fenced for this phase already, it is left.

    Args:
        connection: a session that is in a transaction. Nothing before in it may have read what writers change.
        tables: the tables; partitions are found.
        model: the model whose tables they are, for whoever is refused.
        phase: the phase that it is in.
        patience: how long to wait for writers in flight, as PostgreSQL writes a duration.

    Raises:
        ConfigurationError: a table is not there.
        SourceError: writers in flight did not end in time, a privilege is missing, or PostgreSQL cannot be reached.
    """
    told = b"".join(part.encode() + b"\0" for part in (model, phase))
    with errors_explained(f"fence the tables of {model}", connection=connection):
        await _hold(connection, tables, patience, "SHARE ROW EXCLUSIVE")
        for part in await _parts(connection, tables):
            if part.told == told:
                continue
            if part.has_trigger:
                await connection.execute(f"DROP TRIGGER migrator_fence ON {part.table.sql}")
            await connection.execute(
                f"CREATE TRIGGER migrator_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {part.table.sql} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION migrator.refuse_write({literal(model)}, {literal(phase)})"
            )
            await connection.execute(f"ALTER TABLE {part.table.sql} ENABLE ALWAYS TRIGGER migrator_fence")


async def unfence(connection: Connection, tables: Sequence[TableName], *, patience: str = "5s") -> None:
    """Lift the fence of tables, in the caller's transaction; where there is none, nothing is done.

    Args:
        connection: a session that is in a transaction.
        tables: the tables; partitions are found.
        patience: how long to wait for those who read the tables, as PostgreSQL writes a duration.

    Raises:
        ConfigurationError: a table is not there.
        SourceError: a lock was not to be had in time, a privilege is missing, or PostgreSQL cannot be reached.
    """
    with errors_explained("lift the fence", connection=connection):
        await _hold(connection, tables, patience, "ACCESS EXCLUSIVE")
        for part in await _parts(connection, tables):
            if part.has_trigger:
                await connection.execute(f"DROP TRIGGER migrator_fence ON {part.table.sql}")


@asynccontextmanager
async def passing(connection: Connection) -> AsyncIterator[None]:
    """Lets the caller's transaction write to fenced tables while the block runs; no other, whatever becomes of it.

    Raises:
        SourceError: a privilege is missing, or PostgreSQL cannot be reached.
    """
    with errors_explained("pass the fence", connection=connection, privileges=OWN_TABLES):
        await connection.execute(_STATEMENTS["pass"])
        yield
        await connection.execute(_STATEMENTS["pass_no_more"])


async def gaps(connection: Connection, tables: Sequence[TableName]) -> list[TableName]:
    """Return the tables and partitions without a whole fence: somebody has dropped or disabled it, or attached one.

    Raises:
        ConfigurationError: a table is not there.
        SourceError: PostgreSQL cannot be reached.
    """
    with errors_explained("look at the fence", connection=connection):
        return [part.table for part in await _parts(connection, tables) if part.told is None]


async def _hold(connection: Connection, tables: Sequence[TableName], patience: str, mode: str) -> None:
    """Lock the tables with their partitions, in the same order whoever does it."""
    if not connection.is_in_transaction():
        raise RuntimeError("a fence is set and lifted within a transaction")
    await connection.execute(QUERIES["lock_patience"], patience)
    await _parts(connection, tables)
    for table in sorted(tables, key=str):
        await connection.execute(f"LOCK TABLE {table.sql} IN {mode} MODE")


async def _parts(connection: Connection, tables: Sequence[TableName]) -> list[_Part]:
    found = await connection.fetch(_STATEMENTS["parts"], [table.sql for table in tables])
    missing = [row["asked"] for row in found if row["name"] is None]
    if missing:
        raise ConfigurationError(
            f"there is no table {', '.join(missing)} in the source",
            safe="nothing was fenced or lifted",
            next_step="run `alembic upgrade head`, or correct the mapping",
        )
    return [
        _Part(TableName(row["name"], row["schema"]), row["told"] is not None, row["told"] if row["whole"] else None)
        for row in found
    ]
