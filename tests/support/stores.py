"""The stores that the tests run on, and what a test is handed of them.

Which stores is chosen by the environment, and nothing but these variables:

- none of them: an embedded PostgreSQL and MiniStack, both started for the tests;
- `MIGRATOR_TEST_DATABASE_URL`, `MIGRATOR_TEST_DYNAMODB_ENDPOINT`: the stores they name. With the latter go
  `MIGRATOR_TEST_AWS_ACCESS_KEY_ID`, `MIGRATOR_TEST_AWS_SECRET_ACCESS_KEY` and `MIGRATOR_TEST_AWS_REGION`, for an
  endpoint that checks them. A store on another machine is refused unless `MIGRATOR_TEST_ALLOW_REMOTE=1`: the tests
  write and corrupt;
- `MIGRATOR_TEST_STORES=containers`: testcontainers, with the images of PostgreSQL and DynamoDB Local. This path is
  type-checked, but has not been run yet: no Docker engine could be had.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
import tempfile
import uuid
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import boto3

from migrator.sandbox import DynamoDBEndpoint, dynoxide, embedded_dynamodb, embedded_postgres
from tests.support.fetch_dynoxide import CACHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

_POSTGRES_IMAGE = "postgres:17-alpine"
_DYNAMODB_IMAGE = "amazon/dynamodb-local:latest"
_DYNAMODB_PORT = 8000
_MEMORY = Path("/dev/shm")  # noqa: S108 - only the parent: the directories made in it have random names and mode 700
# Of four servers with their write-ahead logs, most is never used.
_ROOM_BYTES = 8 << 30


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database, named by its URL (`postgresql://`)."""

    url: str

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.removeprefix("/")

    def sibling(self, name: str) -> Database:
        """Return the database of that name on the same server."""
        return Database(urlunsplit(urlsplit(self.url)._replace(path=f"/{name}")))

    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}

    def execute(self, *statements: str) -> None:
        """Run statements without parameters, each in a transaction of its own, on a connection of its own."""
        asyncio.run(self._execute(statements))

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """The rows that a query finds, on a connection of its own."""
        return asyncio.run(self._fetch(query))

    async def _fetch(self, query: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def _execute(self, statements: tuple[str, ...]) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@dataclass(frozen=True)
class DynamoDBStore(DynamoDBEndpoint):
    """A DynamoDB endpoint, and a prefix which makes table names of one test its own."""

    prefix: str = ""

    def table_name(self, stem: str = "table") -> str:
        return f"{self.prefix}{stem}"

    def client(self) -> DynamoDBClient:
        return boto3.client(
            "dynamodb",
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )


@contextmanager
def new_database(server: Database, template: Database | None = None) -> Iterator[Database]:
    """Yield a copy of a database on `server`, by default an empty one, dropped afterwards with all its connections."""
    copied = "template0" if template is None else template.name
    name = f"test_{uuid.uuid4().hex}"
    # Files in memory are copied in half the time that it takes to write them to the log as well.
    strategy = "strategy file_copy" if str(_MEMORY) in server.url else ""
    server.execute(f'create database "{name}" template "{copied}" {strategy}')
    try:
        yield server.sibling(name)
    finally:
        server.execute(f'drop database "{name}" with (force)')


@contextmanager
def new_tables(endpoint: DynamoDBEndpoint) -> Iterator[DynamoDBStore]:
    """Yield `endpoint` with a fresh prefix; tables that carry it are deleted afterwards."""
    known = {field.name: getattr(endpoint, field.name) for field in fields(DynamoDBEndpoint)}
    store = DynamoDBStore(**known, prefix=f"test-{uuid.uuid4().hex[:12]}-")
    try:
        yield store
    finally:
        client = store.client()
        # Table names are listed in order, so the ones with the prefix come first after it.
        pages = client.get_paginator("list_tables").paginate()
        for name in [name for page in pages for name in page["TableNames"] if name.startswith(store.prefix)]:
            client.delete_table(TableName=name)
        client.close()


@dataclass(frozen=True)
class Choice:
    """Which stores the environment chooses."""

    containers: bool
    database_url: str | None
    dynamodb: DynamoDBEndpoint | None
    dynoxide: Path | None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Choice:
        """Read the choice from `environ`.

        Raises:
            ValueError: a value names no choice, or a store that is not on this machine.
        """
        kind = environ.get("MIGRATOR_TEST_STORES", "embedded")
        if kind not in {"embedded", "containers"}:
            raise ValueError(f"MIGRATOR_TEST_STORES is {kind!r}; it may be `embedded` or `containers`")
        given = {
            name: environ[name]
            for name in ("MIGRATOR_TEST_DATABASE_URL", "MIGRATOR_TEST_DYNAMODB_ENDPOINT")
            if environ.get(name)
        }
        for name, url in given.items():
            if urlsplit(url).scheme not in {"http", "https", "postgres", "postgresql"}:
                raise ValueError(f"{name} must be a URL")
            if environ.get("MIGRATOR_TEST_ALLOW_REMOTE") != "1" and not _is_local(url):
                raise ValueError(
                    f"{name} names a store on another machine, and the tests write and corrupt. "
                    "If that is meant, set MIGRATOR_TEST_ALLOW_REMOTE=1."
                )
        endpoint_url = given.get("MIGRATOR_TEST_DYNAMODB_ENDPOINT")
        return cls(
            containers=kind == "containers",
            database_url=given.get("MIGRATOR_TEST_DATABASE_URL"),
            dynamodb=None if endpoint_url is None else _given_endpoint(endpoint_url, environ),
            dynoxide=_find_dynoxide(environ),
        )

    @property
    def emulators(self) -> tuple[str, ...]:
        """The DynamoDBs on which tests of `any_dynamodb` run, by name; the first is the one of all other tests."""
        if self.dynamodb is not None:
            return ("given",)
        if self.containers:
            return ("dynamodb-local",)
        return ("ministack",) if self.dynoxide is None else ("ministack", "dynoxide")

    @contextmanager
    def postgres(self) -> Iterator[Database]:
        """Yield the server's maintenance database, with a role that may create databases."""
        if self.database_url is not None:
            yield Database(self.database_url)
        elif self.containers:
            with _postgres_container() as database:
                yield database
        else:
            with ExitStack() as stack:
                with in_memory():
                    server = stack.enter_context(embedded_postgres())
                yield Database(server.url)

    @contextmanager
    def emulator(self, name: str) -> Iterator[DynamoDBEndpoint]:
        """Yield one of `emulators`, started where it is not given."""
        if name == "given" and self.dynamodb is not None:
            yield self.dynamodb
        elif name == "dynamodb-local":
            with _dynamodb_container() as endpoint:
                yield endpoint
        elif name == "dynoxide" and self.dynoxide is not None:
            with dynoxide(self.dynoxide) as endpoint:
                yield endpoint
        else:
            with embedded_dynamodb() as endpoint:
                yield endpoint


@contextmanager
def in_memory() -> Iterator[None]:
    """Make temporary directories in memory, where the machine has a file system there with room for them.

    A database is some three hundred files, and each test has one of its own. ext4 looks at every file that was deleted
    within the last minute before it makes another: that cost more than all that the tests ask of their databases.
    """
    kept = tempfile.tempdir
    if _has_room(_MEMORY):
        tempfile.tempdir = str(_MEMORY)
    try:
        yield
    finally:
        tempfile.tempdir = kept


def _has_room(memory: Path) -> bool:
    # The server's programs may have to be copied into its directory, and are run there.
    return (
        memory.is_dir()
        and os.access(memory, os.W_OK)
        and not os.statvfs(memory).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(memory).free >= _ROOM_BYTES
    )


def _given_endpoint(url: str, environ: Mapping[str, str]) -> DynamoDBEndpoint:
    names = {
        "region": "MIGRATOR_TEST_AWS_REGION",
        "access_key_id": "MIGRATOR_TEST_AWS_ACCESS_KEY_ID",
        "secret_access_key": "MIGRATOR_TEST_AWS_SECRET_ACCESS_KEY",
    }
    return DynamoDBEndpoint(url, **{field: environ[name] for field, name in names.items() if name in environ})


def _is_local(url: str) -> bool:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    # PostgreSQL takes several hosts, separated by commas, before the path as well as in the query.
    named = [parts.netloc.rpartition("@")[2], *query.get("host", []), *query.get("hostaddr", [])]
    return all(_is_local_host(host) for hosts in named for host in hosts.split(","))


def _is_local_host(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    if name in {"", "localhost"} or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _find_dynoxide(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("MIGRATOR_TEST_DYNOXIDE") or shutil.which("dynoxide", path=environ.get("PATH"))
    if named:
        return Path(named)
    return CACHED if CACHED.exists() else None


@contextmanager
def _postgres_container() -> Iterator[Database]:
    # Imported here: it connects to Docker.
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415

    with PostgresContainer(_POSTGRES_IMAGE, username="postgres", password=uuid.uuid4().hex, driver=None) as container:
        yield Database(container.get_connection_url())


@contextmanager
def _dynamodb_container() -> Iterator[DynamoDBEndpoint]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import PortWaitStrategy  # noqa: PLC0415

    container = DockerContainer(_DYNAMODB_IMAGE).with_exposed_ports(_DYNAMODB_PORT)
    with container.waiting_for(PortWaitStrategy(_DYNAMODB_PORT)):
        host, port = container.get_container_host_ip(), container.get_exposed_port(_DYNAMODB_PORT)
        yield DynamoDBEndpoint(f"http://{host}:{port}")
