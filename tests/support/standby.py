"""A physical standby of an embedded PostgreSQL: streaming, until it is promoted."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from migrator.sandbox.postgres import PostgresEndpoint, installed, readable_installation
from migrator.sandbox.server import new_directory, serving
from migrator.sandbox.supervisor import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 60.0


@contextmanager
def standby_of(primary: PostgresEndpoint) -> Iterator[PostgresEndpoint]:
    """Yield a standby, ready to be read from, that replays what the primary writes."""
    with (primary.directory / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write("local replication postgres trust\n")
    asyncio.run(_execute(primary.url, "SELECT pg_reload_conf()"))
    directory = new_directory("standby")
    user = "nobody" if os.geteuid() == 0 else None
    installation = installed()
    if user is not None:
        installation = readable_installation(installation, directory, user)
    rules_file = directory / "pg_hba.conf"
    rules_file.write_text("local all postgres trust\n", encoding="utf-8")
    rules_file.chmod(0o644)
    data = str(directory / "data")
    backup = [str(installation / "bin" / "pg_basebackup"), "-h", str(primary.directory), "-U", "postgres"]
    settings = {
        "unix_socket_directories": str(directory),
        "hba_file": str(rules_file),
        "listen_addresses": "",
        "fsync": "off",
        "dynamic_shared_memory_type": "mmap",
        "timezone": "UTC",
    }
    order = Order(
        directory=str(directory),
        preparation=[[*backup, "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync"]],
        command=[
            *(str(installation / "bin" / "postgres"), "-D", data),
            *(option for name, value in settings.items() for option in ("-c", f"{name}={value}")),
        ],
        environment={"PATH": os.defpath, "HOME": str(directory), "TMPDIR": str(directory), "LC_ALL": "C"},
        ready_text="ready to accept read-only connections",
        stop_signal=signal.SIGQUIT,
        deadline_seconds=_SECONDS,
        user=user,
    )
    with serving(order):
        yield PostgresEndpoint(directory)


async def caught_up(primary: PostgresEndpoint, standby: PostgresEndpoint) -> None:
    """Returns when the standby has replayed all that the primary has written."""
    written = await _execute(primary.url, "SELECT pg_current_wal_insert_lsn()::text")
    async with asyncio.timeout(_SECONDS):
        while not await _execute(standby.url, f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"):  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.05)


async def cut_off(standby: PostgresEndpoint) -> None:
    """From here on the standby gets nothing any more."""
    await _execute(standby.url, "ALTER SYSTEM SET primary_conninfo = ''")
    await _execute(standby.url, "SELECT pg_reload_conf()")
    async with asyncio.timeout(_SECONDS):
        while await _execute(standby.url, "SELECT count(*) FROM pg_stat_wal_receiver"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def promote(standby: PostgresEndpoint) -> None:
    assert await _execute(standby.url, "SELECT pg_promote()")


def both(primary: PostgresEndpoint, standby: PostgresEndpoint) -> str:
    """One URL for whichever of them is the primary."""
    hosts = f"{primary.directory},{standby.directory}"
    return f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=primary"


async def _execute(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()
