"""The address of a source: a URL as SQLAlchemy or libpq users write it, as asyncpg takes it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from migrator.errors import ConfigurationError

_SCHEMES: Final = frozenset({"postgresql", "postgres"})
# Parameters that asyncpg reads from a URL.
_TAKEN: Final = frozenset(
    {"host", "port", "dbname", "database", "user", "password", "passfile", "service", "sslmode", "sslcert", "sslkey"}
    | {"sslrootcert", "sslcrl", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"}
    | {"target_session_attrs", "krbsrvname", "gsslib", "options"}
)
# Parameters of other drivers that change how a client works, not where it connects or how safely.
_IGNORED: Final = frozenset(
    {"application_name", "fallback_application_name", "client_encoding", "keepalives", "keepalives_idle"}
    | {"keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslcompression", "sslsni", "gssencmode"}
    | {"async_fallback", "prepared_statement_cache_size", "statement_cache_size", "command_timeout"}
)
_EXAMPLE: Final = "set DATABASE_URL to postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def _wrong(why: str, next_step: str = _EXAMPLE) -> ConfigurationError:
    return ConfigurationError(f"the database URL cannot be used: {why}", safe="nothing was done", next_step=next_step)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the source is: `dsn` for asyncpg (None: as `PGHOST` and its kin say), and a name without secrets."""

    dsn: str | None = field(repr=False)
    name: str
    connect_timeout: float

    def __str__(self) -> str:
        """The address as messages show it: host, port and database, no user and no password."""
        return self.name


def parse(url: str | None) -> Address:
    """Return the address that a URL names, or for None the one that the environment's `PG*` variables name.

    `postgresql://`, `postgres://` and SQLAlchemy's `postgresql+driver://` are the same; libpq's parameters are
    translated or, where they would be silently lost, refused.

    Raises:
        ConfigurationError: the text is no such URL. The message never repeats any part that may hold a password.
    """
    if url is None:
        _check_files({})
        return Address(None, "PostgreSQL, as PGHOST and the other PG variables name it", 10.0)
    try:
        parts = urlsplit(url.strip())
        hosts = [_host(host) for host in parts.netloc.rpartition("@")[2].split(",") if host]
        query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        # The cause would show the text that could not be read, which may be part of a password.
        raise _wrong("its host, port or parameters cannot be read") from None
    scheme, _, _ = parts.scheme.partition("+")
    if scheme not in _SCHEMES:
        raise _wrong("it does not begin with postgresql://")
    if parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment:
        raise _wrong("it holds a reserved character", "write @ : / # ? % in a user name or password as %40 %3A %2F ...")
    timeout = _timeout(query.pop("connect_timeout", "10"))
    parameters = _translated(query)
    _check_files(parameters)
    where = ",".join(hosts) or parameters.get("host") or "the local socket"
    database = parts.path.lstrip("/") or parameters.get("dbname") or parameters.get("database") or "default database"
    dsn = f"postgresql://{parts.netloc}{parts.path}{'?' if parameters else ''}{urlencode(parameters)}"
    return Address(dsn, f"PostgreSQL at {where} ({database})", timeout)


def _check_files(parameters: dict[str, str]) -> None:
    """Refuse a certificate file that cannot be read; the driver's error would not tell it from a missing socket."""
    for parameter in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        file = parameters.get(parameter) or os.environ.get(f"PG{parameter.upper()}")
        if file and not os.access(file, os.R_OK):
            raise _wrong(f"the file that {parameter} names cannot be read", f"correct {parameter}")


def _host(text: str) -> str:
    """Return a host as messages show it: with its port, or the directory of a Unix socket."""
    port = urlsplit(f"//{text}").port
    host = unquote(text)
    return host if port is not None or host.startswith("/") else f"{host}:5432"


def _timeout(text: str) -> float:
    if not text.isdecimal():
        raise _wrong("connect_timeout is no whole number of seconds", "write ?connect_timeout=10")
    # libpq reads 0 as no limit; nothing here waits for ever.
    return float(text) or 60.0


def _translated(query: dict[str, str]) -> dict[str, str]:
    """Return the parameters as asyncpg reads them."""
    parameters = {name: value for name, value in query.items() if name in _TAKEN}
    if "ssl" in query:
        parameters.setdefault("sslmode", {"true": "require", "false": "disable"}.get(query["ssl"], query["ssl"]))
    unknown = query.keys() - _TAKEN - _IGNORED - {"ssl", "channel_binding"}
    if unknown:
        raise _wrong(f"parameter {min(unknown)!r} is not known", "leave the parameter out; libpq's own names are taken")
    if query.get("channel_binding") == "require":
        raise _wrong(
            "asyncpg cannot bind a login to its TLS channel (channel_binding=require)",
            "leave channel_binding out and write sslmode=verify-full, which proves the server by its certificate",
        )
    return parameters
