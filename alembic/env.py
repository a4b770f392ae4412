"""How Alembic reaches the source: the schema of `mappings.miyabi`, on the database that `migrate` would use.

- `DATABASE_URL` or `migrator.toml` names it; without either, libpq's own variables (`PGHOST`, `PGDATABASE`, ...) do.
- `alembic -x url=URL upgrade head` names another one. Other users of the machine can read a command line, so a password
  belongs into `PGPASSWORD` or `~/.pgpass` there.
- `alembic upgrade head --sql` prints the statements and needs no database.
- A program that has a connection hands it in: `config.attributes["connection"]`, a SQLAlchemy `Connection`, which it
  commits and closes itself. An asynchronous program must: `await connection.run_sync(...)` around the command.
"""

from __future__ import annotations

import asyncio
import logging.config
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import migrator.postgres.operations  # noqa: F401 - registers op.create_capture and op.drop_capture
from alembic import context, util
from mappings.miyabi import MODEL
from mappings.miyabi.schema import metadata
from migrator.errors import MigratorError
from migrator.postgres.address import parse
from migrator.postgres.errors import errors_explained
from migrator.settings import load_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A statement that waits for its lock holds up every later one on the table; so it gives up first.
LOCK_TIMEOUT = "10s"

SCHEMAS = {table.schema for table in metadata.tables.values()}


def include_name(name: str | None, kind: str, _: object) -> bool:
    """Tell whether Alembic may look at something: not at schemas of others, such as the toolkit's own, `migrator`."""
    return kind != "schema" or name in SCHEMAS


def migrate(connection: Connection | None) -> None:
    """Run the revisions that the command asks for; without a connection, print their statements."""
    context.configure(
        connection=connection,
        dialect_name="postgresql",
        target_metadata=metadata,
        capture=MODEL,
        include_schemas=True,
        include_name=include_name,
        literal_binds=connection is None,
    )
    with context.begin_transaction():
        context.run_migrations()


def database_url() -> str | None:
    """Return the URL that the command line or the settings give, or None where the `PG*` variables decide."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    if isinstance(given, str):
        return given
    configured = load_settings().database_url
    return None if configured is None else configured.get_secret_value()


async def connect() -> asyncpg.Connection:
    """Open an asyncpg session on that database."""
    address = parse(database_url())
    with errors_explained(f"connect to {address}", safe="nothing was changed"):
        return await asyncpg.connect(
            address.dsn,
            timeout=address.connect_timeout,
            server_settings={"application_name": "migrator alembic", "lock_timeout": LOCK_TIMEOUT},
        )


async def migrate_online() -> None:
    """Run the revisions on a connection of their own."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
    finally:
        await engine.dispose()


def run() -> None:
    """Run the revisions where the command wants them; what a user can act on becomes Alembic's own one-line message."""
    if context.is_offline_mode():
        migrate(None)
        return
    try:
        asyncio.run(migrate_online())
    except MigratorError as error:
        raise util.CommandError("; ".join(filter(None, (error.what, error.safe, error.next_step)))) from error
    except DBAPIError as error:
        raise util.CommandError(f"the migration failed, and its transaction was rolled back: {error.orig}") from error


if "connection" in context.config.attributes:
    migrate(context.config.attributes["connection"])
else:
    if context.config.config_file_name is not None:
        logging.config.fileConfig(context.config.config_file_name, disable_existing_loggers=False)
    run()
