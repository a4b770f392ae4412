"""Opening sessions, and what a user reads when that fails."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import asyncpg
import pytest

from migrator.errors import ConfigurationError, SourceError
from migrator.postgres.connection import connect, pool
from migrator.postgres.errors import errors_explained
from migrator.postgres.identifiers import TableName
from migrator.sandbox import embedded_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.errors import MigratorError
    from migrator.postgres.connection import Connection
    from tests.support.stores import Database

PASSWORD = "geheim"  # noqa: S105 - of roles that live as long as a test


@pytest.fixture(scope="module")
def strict_port() -> Iterator[int]:
    """The port of a server that asks for passwords, has few connections and offers no TLS."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "max_connections": "6", "ssl": "off"}
    with embedded_postgres(settings) as server:
        asyncio.run(_create_login(server.directory.as_posix(), port))
        yield port


async def _create_login(socket_directory: str, port: int) -> None:
    connection = await asyncpg.connect(host=socket_directory, port=port, user="postgres", database="postgres")
    await connection.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
    await connection.close()


def says(error: MigratorError) -> str:
    assert error.safe
    assert error.next_step
    text = f"{error.what} {error.safe} {error.next_step}"
    assert PASSWORD not in text
    return text


async def test_settings_that_change_how_values_read_are_pinned(database: Database) -> None:
    admin = await asyncpg.connect(database.url)
    name = await admin.fetchval("SELECT current_database()")
    for setting in ("timezone = 'Asia/Tokyo'", "datestyle = 'German'", "intervalstyle = 'sql_standard'"):
        await admin.execute(f'ALTER DATABASE "{name}" SET {setting}')
    await admin.execute(f'ALTER DATABASE "{name}" SET bytea_output = escape')
    await admin.close()

    connection = await connect(database.url, purpose="test")
    row = await connection.fetchrow(
        r"""SELECT '2025-11-29 10:30:00.5+00'::timestamptz::text, '1 month 2 days 3 s'::interval::text,
                   '\x00ff'::bytea::text, 0.1::float8::text, current_setting('application_name')"""
    )
    assert tuple(row) == ("2025-11-29 10:30:00.5+00", "P1M2DT3S", r"\x00ff", "0.1", "migrator test")
    await connection.close()


async def test_the_environments_pg_variables_serve_where_no_url_is_given(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = await asyncpg.connect(database.url)
    address, settings = direct._addr, direct.get_settings()  # noqa: SLF001 - where the fixture's server is
    name = await direct.fetchval("SELECT current_database()")
    await direct.close()
    host, port = (os.path.dirname(address), address.rpartition(".")[2]) if isinstance(address, str) else address  # noqa: PTH120
    variables = {"PGHOST": host, "PGPORT": port, "PGDATABASE": name, "PGUSER": settings.session_authorization}
    for variable, value in variables.items():
        monkeypatch.setenv(variable, str(value))

    connection = await connect(None, purpose="test")
    assert await connection.fetchval("SELECT current_database()") == name
    await connection.close()


@pytest.mark.parametrize(
    ("credentials", "what"),
    [("app:wrong", "the password is wrong"), ("nobody_here:x", "the password is wrong"), ("app", "password")],
)
async def test_wrong_credentials(strict_port: int, credentials: str, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as caught:
        await connect(f"postgresql://{credentials}@127.0.0.1:{strict_port}/postgres", purpose="test")
    assert f"127.0.0.1:{strict_port}" in says(caught.value)


async def test_a_database_that_does_not_exist(strict_port: int) -> None:
    with pytest.raises(ConfigurationError, match="the database does not exist") as caught:
        await connect(f"postgresql://app:{PASSWORD}@127.0.0.1:{strict_port}/nowhere", purpose="test")
    assert "(nowhere)" in says(caught.value)


async def test_a_server_without_tls_where_the_url_asks_for_it(strict_port: int) -> None:
    with pytest.raises(SourceError, match="TLS") as caught:
        await connect(f"postgresql://app:{PASSWORD}@127.0.0.1:{strict_port}/postgres?sslmode=require", purpose="test")
    assert "sslmode=prefer" in says(caught.value)


async def test_tls_settings_that_cannot_be_used(strict_port: int) -> None:
    url = f"postgresql://app:{PASSWORD}@127.0.0.1:{strict_port}/postgres"
    with pytest.raises(ConfigurationError, match="connection settings") as caught:
        await connect(f"{url}?sslmode=perhaps", purpose="test")
    says(caught.value)
    with pytest.raises(ConfigurationError, match="sslrootcert names cannot be read") as caught:
        await connect(f"{url}?sslmode=verify-full&sslrootcert=%2Fno%2Fsuch%2Ffile", purpose="test")
    says(caught.value)


async def test_no_connection_left(strict_port: int) -> None:
    url = f"postgresql://app:{PASSWORD}@127.0.0.1:{strict_port}/postgres"
    async with AsyncExitStack() as opened:

        async def open_more_than_there_are() -> None:
            for _ in range(7):
                opened.push_async_callback((await connect(url, purpose="test")).close)

        with pytest.raises(SourceError, match="no connection left") as caught:
            await open_more_than_there_are()
    assert "fewer workers" in says(caught.value)


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://app:{PASSWORD}@127.0.0.1:{free.getsockname()[1]}/app"
        with pytest.raises(SourceError, match="does not answer") as caught:
            await connect(url, purpose="test")
    assert caught.value.exit_code == 5
    assert "DATABASE_URL" in says(caught.value)


async def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(SourceError, match="does not answer") as caught:
        await connect(f"postgresql://app:{PASSWORD}@no-such-host.invalid/app", purpose="test")
    assert "no-such-host.invalid" in says(caught.value)


async def test_a_server_that_accepts_and_never_answers() -> None:
    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    released = asyncio.Event()
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        with pytest.raises(SourceError, match="does not answer"):
            await connect(f"postgresql://app@127.0.0.1:{port}/app?connect_timeout=1", purpose="test")
    finally:
        released.set()
        server.close()
        await server.wait_closed()


async def test_a_session_that_may_only_read_is_refused_where_writes_are_needed(database: Database) -> None:
    admin = await asyncpg.connect(database.url)
    name = await admin.fetchval("SELECT current_database()")
    await admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await admin.close()

    with pytest.raises(SourceError, match="read-only") as caught:
        await connect(database.url, purpose="test")
    assert caught.value.exit_code == 5
    says(caught.value)


async def test_a_read_only_session_cannot_write(database: Database) -> None:
    connection = await connect(database.url, purpose="test", read_only=True)
    with (
        pytest.raises(SourceError, match="takes no writes"),
        errors_explained("make a table", connection=connection),
    ):
        await connection.execute("CREATE TABLE x ()")
    await connection.close()


async def test_a_missing_privilege_names_the_grant_that_cures_it(database: Database) -> None:
    role = f"reader_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(database.url)
    await admin.execute("CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY)")
    await admin.execute(f"CREATE ROLE {role}")
    connection = await connect(database.url, purpose="test")
    await connection.execute(f"SET SESSION AUTHORIZATION {role}")
    try:
        with (
            pytest.raises(SourceError, match="lacks a privilege") as caught,
            errors_explained("read shop.orders", connection=connection, table=TableName("orders", "shop")),
        ):
            await connection.fetch("SELECT * FROM shop.orders")
        assert role in says(caught.value)
        step = caught.value.next_step
        assert step is not None
        # The message is what cures it: the statement is run as it stands.
        await admin.execute(step.removeprefix("as the owner run: "))
        assert await connection.fetch("SELECT * FROM shop.orders") == []
    finally:
        await connection.close()
        await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await admin.close()


async def test_rows_hidden_by_a_policy_are_an_error_not_a_shorter_table(database: Database) -> None:
    role = f"reader_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(database.url)
    await admin.execute("CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1), (2)")
    await admin.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    await admin.execute(f"CREATE ROLE {role}; GRANT SELECT ON orders TO {role}")
    connection = await connect(database.url, purpose="test")
    await connection.execute(f"SET ROLE {role}")
    try:
        with (
            pytest.raises(SourceError, match="row-level security") as caught,
            errors_explained("read orders", connection=connection, table=TableName("orders")),
        ):
            await connection.fetch("SELECT * FROM orders")
        assert "BYPASSRLS" in says(caught.value)
    finally:
        await connection.close()
        await admin.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await admin.close()


async def test_a_connection_that_is_cut_in_the_middle(database: Database) -> None:
    connection = await connect(database.url, purpose="test")
    admin = await asyncpg.connect(database.url)
    reading = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
    await _until_active(admin, connection.get_server_pid())
    await admin.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
    with (
        pytest.raises(SourceError, match="connection to PostgreSQL was lost") as caught,
        errors_explained("read users", connection=connection),
    ):
        await reading
    assert "what is settled stays" in says(caught.value)
    with pytest.raises(SourceError, match="lost"), errors_explained("read users", connection=connection):
        await connection.fetch("SELECT 1")
    await admin.close()


async def _until_active(admin: Connection, pid: int) -> None:
    state = "SELECT state FROM pg_stat_activity WHERE pid = $1"
    while await admin.fetchval(state, pid) != "active":  # noqa: ASYNC110 - the server offers nothing to wait on
        await asyncio.sleep(0.01)


async def test_an_argument_that_cannot_be_encoded_stays_a_bug(database: Database) -> None:
    connection = await connect(database.url, purpose="test")
    with pytest.raises(asyncpg.DataError), errors_explained("count", connection=connection):
        await connection.fetch("SELECT $1::int", "one")
    await connection.close()


async def test_a_pool_works_side_by_side_and_ends_when_the_work_fails(database: Database) -> None:
    async with pool(database.url, purpose="test", size=3) as opened:

        async def pid() -> int:
            async with opened.acquire() as connection:
                return int(await connection.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.05)"))

        assert len(set(await asyncio.gather(pid(), pid(), pid()))) == 3
    with pytest.raises(ZeroDivisionError):
        async with pool(database.url, purpose="test", size=1) as opened, opened.acquire():
            raise ZeroDivisionError


async def test_a_pool_explains_a_wrong_address_as_a_single_session_does() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"postgresql://app:{PASSWORD}@127.0.0.1:{free.getsockname()[1]}/app"
        with pytest.raises(SourceError, match="does not answer"):
            async with pool(url, purpose="test", size=2):
                pass
