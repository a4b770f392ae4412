"""What PostgreSQL answers when something fails, as messages with a next step: the one place that reads its errors."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from migrator.errors import ConfigurationError, MigratorError, SourceError
from migrator.postgres.identifiers import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.postgres.identifiers import TableName

OWN_TABLES: Final = (
    "USAGE ON SCHEMA migrator",
    "ALL ON ALL TABLES IN SCHEMA migrator",
    "USAGE, SELECT ON ALL SEQUENCES IN SCHEMA migrator",
)
"""What working with the toolkit's own schema needs where another role has installed it."""
SETTLED: Final = "what is settled stays; nothing is half-done that a second run does not continue"


class _Answer(NamedTuple):
    """How one class of failure reads to a user."""

    error: type[MigratorError]
    why: str
    next_step: str


_AGAIN = "run the command again"
_LOST = _Answer(
    SourceError, "the connection to PostgreSQL was lost", "see that the server is up, then run the command again"
)
_UNREACHABLE = _Answer(
    SourceError,
    "PostgreSQL does not answer there",
    "check DATABASE_URL (or PGHOST and PGPORT) and that the server runs and can be reached from this machine",
)
_NO_TLS = _Answer(
    SourceError,
    "the server ended the TLS handshake; it may not offer TLS",
    "turn TLS on at the server (ssl = on), or write sslmode=prefer where an unencrypted connection is acceptable",
)
_CERTIFICATE = _Answer(
    ConfigurationError,
    "the server's TLS certificate cannot be trusted",
    "name the authority that signed it: sslrootcert=FILE in DATABASE_URL; the host must be the one in the certificate",
)
_SETTINGS = _Answer(
    ConfigurationError,
    "the connection settings cannot be used",
    "check sslmode, the certificate files and ports in DATABASE_URL or the PG variables",
)
_OTHER = _Answer(SourceError, "PostgreSQL answered with an error", "see the server's log for the statement that failed")
_ROW_SECURITY = _Answer(
    SourceError,
    "row-level security would hide rows from this role",
    "as a superuser run: ALTER ROLE {role} BYPASSRLS (or connect as the owner of the table)",
)

# The first class that fits is taken: subclasses stand above their bases.
_ANSWERS: Final[tuple[tuple[type[BaseException], _Answer], ...]] = (
    (
        asyncpg.InvalidPasswordError,
        _Answer(ConfigurationError, "the password is wrong, or the role does not exist", "check DATABASE_URL"),
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        _Answer(
            ConfigurationError,
            "the server refuses this role from this address",
            "check that the role exists and may log in, and that pg_hba.conf admits it; where it asks for TLS, write "
            "sslmode=require in DATABASE_URL",
        ),
    ),
    (
        asyncpg.InvalidCatalogNameError,
        _Answer(ConfigurationError, "the database does not exist", "check the database's name in DATABASE_URL"),
    ),
    (
        asyncpg.TooManyConnectionsError,
        _Answer(
            SourceError,
            "the server has no connection left",
            "run the command again with fewer workers, or raise max_connections or the role's connection limit",
        ),
    ),
    (
        asyncpg.CannotConnectNowError,
        _Answer(SourceError, "the server is starting, stopping or recovering", "wait until it is up and run again"),
    ),
    (
        asyncpg.TargetServerAttributeNotMatched,
        _Answer(
            SourceError,
            "no server of the address is of the kind that target_session_attrs asks for",
            "name the primary, or change target_session_attrs",
        ),
    ),
    (
        asyncpg.ProtocolViolationError,
        _Answer(
            SourceError,
            "the server does not take the session's settings, as connection poolers do",
            "connect to PostgreSQL itself rather than to a pooler: locks and settings belong to a session",
        ),
    ),
    (
        asyncpg.InsufficientPrivilegeError,
        _Answer(SourceError, "role {role} lacks a privilege", "{grant}"),
    ),
    (
        asyncpg.ReadOnlySQLTransactionError,
        _Answer(SourceError, "the server takes no writes", "connect to the primary"),
    ),
    (
        asyncpg.UndefinedTableError,
        _Answer(SourceError, "a table is missing", "bring the source schema up to date (alembic upgrade head)"),
    ),
    (
        asyncpg.UndefinedColumnError,
        _Answer(
            SourceError,
            "a column that the mapping names is missing",
            "bring the source schema up to date (alembic upgrade head), or correct the mapping and run `migrate lint`",
        ),
    ),
    (
        asyncpg.LockNotAvailableError,
        _Answer(SourceError, "a lock was not to be had in time", "see pg_locks for who holds it, and run again later"),
    ),
    (
        asyncpg.QueryCanceledError,
        _Answer(SourceError, "the statement was cancelled, or ran longer than its limit", _AGAIN),
    ),
    (
        asyncpg.DiskFullError,
        _Answer(SourceError, "the server's disk is full", "make room there and run the command again"),
    ),
    (asyncpg.SerializationError, _Answer(SourceError, "the server gave other work precedence", _AGAIN)),
    (asyncpg.DeadlockDetectedError, _Answer(SourceError, "the server gave other work precedence", _AGAIN)),
    (asyncpg.IdleInTransactionSessionTimeoutError, _LOST),
    (asyncpg.AdminShutdownError, _LOST),
    (asyncpg.CrashShutdownError, _LOST),
    (asyncpg.PostgresConnectionError, _LOST),
    (asyncpg.PostgresError, _OTHER),
    (asyncpg.ClientConfigurationError, _SETTINGS),
    (asyncpg.InterfaceError, _LOST),
    # The server ended the session in the middle of an answer.
    (asyncpg.InternalClientError, _LOST),
    (ssl.SSLCertVerificationError, _CERTIFICATE),
    (ssl.SSLError, _NO_TLS),
)


@contextmanager
def errors_explained(
    doing: str,
    *,
    safe: str = SETTLED,
    connection: Any = None,  # noqa: ANN401 - asyncpg has no types
    table: TableName | None = None,
    privileges: tuple[str, ...] = (),
) -> Iterator[None]:
    """Turn what asyncpg and the network raise in the block into a `MigratorError`; nothing else may be called in it.

    Args:
        doing: what the block does, as it follows "cannot": `read public.users`.
        safe: what holds although it failed.
        connection: the connection in use, which knows the role that a missing privilege must be granted to.
        table: the table that is read.
        privileges: what the block needs beside reading that table, as GRANT says it: `CREATE ON DATABASE app`.

    Raises:
        ConfigurationError: the address or the credentials are wrong.
        SourceError: everything else. Values and passwords are never part of the message.
    """
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        # The bare class is asyncpg's own, for an argument that it cannot encode: a bug here, not the user's affair.
        if type(error) is asyncpg.DataError:
            raise
        answer = _answer(error)
        words = {}
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            words = _missing(connection, table, privileges)
        what = f"cannot {doing}: {answer.why.format_map(words)}{_code(error)}"
        raise answer.error(what, safe=safe, next_step=answer.next_step.format_map(words)) from error


def _answer(error: BaseException) -> _Answer:
    if isinstance(error, asyncpg.InsufficientPrivilegeError) and error.server_source_function == "check_enable_rls":
        return _ROW_SECURITY
    for kind, answer in _ANSWERS:
        if isinstance(error, kind):
            return answer
    # asyncpg raises the bare class for a refused TLS handshake, and a subclass for everything else.
    if type(error) is ConnectionError:
        return _NO_TLS
    return _LOST if isinstance(error, ConnectionResetError | BrokenPipeError) else _UNREACHABLE


def _code(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return "" if state is None else f" (SQLSTATE {state})"


def _missing(connection: Any, table: TableName | None, privileges: tuple[str, ...]) -> dict[str, str]:  # noqa: ANN401
    """The role that lacks a privilege, and the statements that grant what it needs, ready to run."""
    role = "of this session" if connection is None else quoted(connection.get_settings().session_authorization)
    needed = [] if table is None else [f"SELECT ON {table.sql}"]
    if table is not None and table.schema is not None:
        needed.insert(0, f"USAGE ON SCHEMA {quoted(table.schema)}")
    needed += privileges
    if connection is None or not needed:
        return {"role": role, "grant": "grant the role what the server's log says it lacks"}
    return {"role": role, "grant": "as the owner run: " + "; ".join(f"GRANT {each} TO {role}" for each in needed)}
