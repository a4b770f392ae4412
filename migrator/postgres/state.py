"""The toolkit's own schema `migrator` in the source database: installed by version, once, by whoever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrator.errors import ConfigurationError
from migrator.postgres.errors import OWN_TABLES, errors_explained
from migrator.postgres.identifiers import quoted
from migrator.postgres.queries import QUERIES, named_statements

if TYPE_CHECKING:
    from migrator.postgres.connection import Connection

_VERSIONS: Final = tuple(named_statements("schema.sql").values())
LATEST: Final = len(_VERSIONS)


def install_statement() -> str:
    """Return the one statement that brings the schema to the latest version; it needs no parameter and no answer.

    `install` runs it, and so does whoever has to install within a transaction or a script of its own.
    """
    steps = "".join(
        f"IF installed < {number} THEN\nEXECUTE $version${statement}$version$;\n"
        f"INSERT INTO migrator.versions (version) VALUES ({number});\nEND IF;\n"
        for number, statement in enumerate(_VERSIONS, 1)
    )
    refuse = f"RAISE EXCEPTION 'the schema migrator is of version %, this release knows {LATEST}', installed;"
    return QUERIES["install"].replace("-- steps", f"{steps}IF installed > {LATEST} THEN\n{refuse}\nEND IF;")


async def installed_version(connection: Connection) -> int:
    """Return the version of the schema that is installed; 0: none is.

    Raises:
        SourceError: PostgreSQL cannot be reached, or the role may not read the schema.
    """
    with errors_explained("read the schema migrator", connection=connection, privileges=OWN_TABLES):
        if not await connection.fetchval(QUERIES["versions_table"]):
            return 0
        return int(await connection.fetchval(QUERIES["installed_version"]))


async def install(connection: Connection) -> bool:
    """Bring the schema to the latest version, in one transaction; return whether anything had to be done.

    Raises:
        ConfigurationError: a newer release of the toolkit has installed a later version.
        SourceError: PostgreSQL cannot be reached, or the role may not create the schema.
    """
    if await _checked_version(connection) == LATEST:
        return False
    database = await _database(connection)
    with errors_explained(
        "install the schema migrator",
        safe="the schema is as it was",
        connection=connection,
        privileges=(f"CREATE ON DATABASE {quoted(database)}",),
    ):
        async with connection.transaction():
            await connection.execute(QUERIES["install_lock"])
            # Whoever held the lock may have done it.
            version = await installed_version(connection)
            await connection.execute(install_statement())
    return version < LATEST


async def require(connection: Connection) -> None:
    """Refuse to go on without the schema.

    Raises:
        ConfigurationError: it is not installed, or of another version than this release works with.
        SourceError: as `installed_version`.
    """
    version = await _checked_version(connection)
    if version < LATEST:
        why = "is not installed" if version == 0 else f"is of version {version}, this release needs {LATEST}"
        raise ConfigurationError(
            f"the toolkit's own schema (migrator) in the source database {why}",
            safe="nothing was done",
            next_step="migrate prepare",
        )


async def _checked_version(connection: Connection) -> int:
    version = await installed_version(connection)
    if version > LATEST:
        raise ConfigurationError(
            f"the schema migrator is of version {version}; this release of the toolkit knows version {LATEST}",
            safe="nothing was done",
            next_step="install the release of the toolkit that is in use elsewhere on this database",
        )
    return version


async def _database(connection: Connection) -> str:
    with errors_explained("read the database's name", connection=connection):
        return str(await connection.fetchval(QUERIES["database"]))
