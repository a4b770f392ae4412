"""`migrate demo`: a migration from nothing to its end, on stores of its own, by the commands a user would type."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import rich_click as click

from migrator.app import ReadLimits, Router
from migrator.app.repository import Repository
from migrator.cli.demo_writer import DemoWriter
from migrator.cli.options import common_options
from migrator.dynamodb import control
from migrator.dynamodb.session import open_session
from migrator.errors import ConfigurationError, MigratorError
from migrator.postgres import pending
from migrator.postgres.connection import connect
from migrator.reconcile import Times
from migrator.sandbox import embedded_dynamodb, embedded_postgres, scrub
from migrator.sandbox.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.postgres.pending import Backlog

ROWS = 20_000
SEED = 20_251_129
MAPPINGS = "mappings.miyabi"
DIFFERENCES_FOUND = 3
LIVE_SECONDS = 3
LEASE_SECONDS = 1.0
STRAY: dict[str, Any] = {"PK": {"S": "USER#nobody"}, "SK": {"S": "METADATA"}, "EntityType": {"S": "USER"}}
TIMES = Times(request=8, page=8, signature=0, skew=0)
"""How long requests live: on this machine none is under way for long."""


@click.command("demo")
@click.option("--rows", default=ROWS, show_default=True, type=click.IntRange(min=100), help="Rows to migrate.")
@click.option("--keep", is_flag=True, help="Keep the stores running at the end, to try commands on, until Ctrl-C.")
@common_options
def command(*, rows: int, keep: bool) -> None:
    """Show a migration from nothing to its end, on embedded stores.

    Neither Docker nor an AWS account is needed, and no store is reached but the two that it starts. It is run in a
    checkout of the project, whose Alembic revision and mappings it uses.
    """
    if not Path("alembic.ini").is_file() or not Path(*MAPPINGS.split(".")).is_dir():
        raise ConfigurationError(
            "The demo uses the mappings and the Alembic revision of the project, which are not in this directory.",
            next_step="Run it in a checkout of the project: `make demo`.",
        )
    sys.path.insert(0, str(Path.cwd()))
    started = time.monotonic()
    demo = Demo(rows)
    with ExitStack() as stack:
        demo.start(stack)
        demo.migrate()
        demo.corrupt()
        demo.move_reads()
        demo.move_writes()
        demo.end()
        demo.close(time.monotonic() - started)
        if keep:
            demo.keep()


@dataclass
class Demo:
    """The course of the demo. Every store it touches is one that it has started."""

    rows: int

    def start(self, stack: ExitStack) -> None:
        """Starts the stores, and drops from the environment whatever points at others."""
        say("Two stores of its own", "A PostgreSQL and a DynamoDB emulator, on this machine, in temporary directories.")
        postgres = stack.enter_context(embedded_postgres())
        dynamodb = stack.enter_context(embedded_dynamodb())
        self.stores = {
            **postgres.environment(),
            **dynamodb.environment(),
            "MIGRATOR_MAPPINGS": MAPPINGS,
            "MIGRATOR_REQUEST_SECONDS": str(TIMES.request),
            "MIGRATOR_PAGE_SECONDS": str(TIMES.page),
            "MIGRATOR_SIGNATURE_SECONDS": str(TIMES.signature),
            "MIGRATOR_CLOCK_SKEW_SECONDS": str(TIMES.skew),
            "MIGRATOR_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        clean = scrub(os.environ)
        os.environ.clear()
        os.environ.update(clean | self.stores)
        self.database_url = postgres.url

    def migrate(self) -> None:
        """The way from an empty database to a proven copy."""
        say("The source schema", "Alembic creates eleven tables, as it does in any project.")
        run("alembic", "upgrade", "0001")
        say("Rows", f"{self.rows:,} rows of a GitHub automation service, invented from a fixed seed.")
        asyncio.run(self._load())
        say("Capture", "Triggers on every table: from here on, whatever is written leaves a mark, whoever writes it.")
        run("alembic", "upgrade", "head")
        say("Prepare", "The target table with its indexes, stream and backups; the toolkit's own schema in PostgreSQL.")
        run("migrate", "prepare", "--yes")
        with DemoWriter(import_module(MAPPINGS).MODEL, self.database_url, TIMES) as application:
            self._follow(application)
        if self._waiting("the application has stopped"):
            say("Relay", "It does what the mirror did not get to.")
            run("migrate", "relay", "--until-empty")
        say("Verify", "Every row against its items, and every item against its row; what was written live included.")
        run("migrate", "verify")

    def _follow(self, application: DemoWriter) -> None:
        """The copy, and what is written meanwhile and afterwards."""
        say("An application", "It writes all the time, with the dual writer attached: about 30 commits a second.")
        say("Copy", "Rows become items by the mappings. Killed at any moment, the same command goes on from there.")
        run("migrate", "copy", "--yes")
        done = application.written()
        click.echo(f"  meanwhile the application has committed {done.commits:,} writes, each with a mark")
        self._waiting("the copy is done")
        say(
            "Dual write",
            "Changes are carried over from here on. The move waits until no request of the copy can arrive.",
        )
        run("migrate", "switch", "dual-write", "--wait", "--yes")
        say("Relay", "It drains what has gathered, while the application mirrors what it writes from now on.")
        run("migrate", "relay", "--until-empty")
        application.written()
        self._waiting("the relay is done")
        time.sleep(LIVE_SECONDS)
        done = application.written()
        click.echo(
            f"  in {done.seconds:.0f} seconds without a relay: {done.commits:,} writes committed, "
            f"{done.mirrored:,} of them mirrored at once;\n"
            f"  a commit returned in {done.milliseconds:.0f} ms, with its item written"
        )

    def _waiting(self, when: str) -> int:
        """Says how many changes wait, and for how long; returns their number."""
        backlog = asyncio.run(self._backlog())
        lag = f", the oldest for {backlog.lag:.1f} seconds" if backlog.waiting else ""
        click.echo(f"  {when}: {backlog.waiting:,} {'change waits' if backlog.waiting == 1 else 'changes wait'}{lag}")
        return backlog.waiting

    async def _backlog(self) -> Backlog:
        connection = await connect(self.database_url, purpose="demo")
        try:
            sources = [f"public.{entity.source_name}" for entity in import_module(MAPPINGS).MODEL.entities]
            return await pending.backlog(connection, sources)
        finally:
            await connection.close()

    async def _load(self) -> None:
        sample = import_module(f"{MAPPINGS}.sample")
        connection = await asyncpg.connect(self.database_url)
        try:
            loaded = await load(connection, sample.rows(self.rows, SEED, datetime.now(UTC)))
        finally:
            await connection.close()
        for table, count in loaded.items():
            click.echo(f"  {table:<24}{count:>9,}")

    def corrupt(self) -> None:
        """Three things that must not go unnoticed."""
        say("Three corruptions", "What verify is for: the target is changed behind its back.")
        table = import_module(MAPPINGS).MODEL.tables[0].name
        with closing(control.connect(open_session())) as client:
            for sentence in corruptions(client, table):
                click.echo(f"  {sentence}")
            run("migrate", "verify", expected=DIFFERENCES_FOUND)
            say("Found", "All three, by name; exit code 3 tells a scheduler.")
            client.delete_item(TableName=table, Key={name: STRAY[name] for name in ("PK", "SK")})
        click.echo("  The stray item is nobody's, and is deleted by hand. A repair brings the others in order:")
        run("migrate", "verify", "--repair", "--yes")

    def move_reads(self) -> None:
        """Reads go to the target."""
        say("Reads", "By a share of the keys, always the same ones; nothing but the evidence lets them move.")
        run("migrate", "switch", "reads", "--percent", "10", "--yes")
        run("migrate", "switch", "reads", "--yes")

    def move_writes(self) -> None:
        """Writes go to the target, and return."""
        say("Rehearse", "Rows are led back from their items, before anybody depends on it.")
        run("migrate", "rehearse")
        say("Writes", "The source is fenced, its last change carried over, and the target opened.")
        run("migrate", "switch", "writes", "--yes")
        say("The application", "It writes in blocks of a repository, which go where the master is.")
        self._write("demo-1", "Written in DynamoDB")
        say("The way back", "Nobody writes while the last changes are carried back and both stores are compared.")
        run("migrate", "rollback", "--yes")
        name = asyncio.run(self._name("demo-1"))
        click.echo(f"  PostgreSQL has the organization that was written in DynamoDB: {name}")

    def end(self) -> None:
        """Forward again, and to the end."""
        say("Forward again, and to the end", "The evidence is asked for anew. Then the way back is given up.")
        run("migrate", "verify")
        run("migrate", "switch", "reads", "--yes")
        run("migrate", "switch", "writes", "--yes")
        run("migrate", "complete", "--yes")

    def _write(self, key: str, name: str) -> None:
        model = import_module(MAPPINGS).MODEL
        with Router(model, self.database_url, limits=ReadLimits(lease=LEASE_SECONDS, sample=0.0)) as router:
            organizations = Repository(router, "ORGANIZATION")
            now = datetime.now(UTC)
            with organizations.writing() as write:
                organizations.put(write, organizations.record(id=key, name=name, created_at=now, updated_at=now))
        click.echo(f"  organization {key} is written")

    async def _name(self, key: str) -> str | None:
        connection = await connect(self.database_url, purpose="demo")
        try:
            name: str | None = await connection.fetchval("SELECT name FROM organizations WHERE id = $1", key)
            return name
        finally:
            await connection.close()

    def close(self, seconds: float) -> None:
        """What to try next."""
        say(
            "Done",
            f"{self.rows:,} rows were moved under a live writer and proven equal, and with them reads and writes; that "
            f"took {seconds:.0f} seconds.",
        )
        click.echo(
            "  What to try next:\n"
            "    migrate demo --keep              the same, and the stores stay for commands of your own\n"
            "    migrate lint                     what the mappings declare, checked\n"
            "    echo '{...}' | migrate preview users --row -\n"
            "                                     the items that one row becomes\n"
            "    docs/tutorial/an-afternoon.md    the same steps with an application, explained\n"
            "    mappings/miyabi/                 one module per entity: how rows become items"
        )

    def keep(self) -> None:
        """Leaves the stores running."""
        say("Kept", "The stores run until Ctrl-C. In another shell, in this directory:")
        for name, value in self.stores.items():
            click.echo(f"  export {name}={shlex.quote(value)}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            click.echo("The stores are gone.")


def corruptions(client: DynamoDBClient, table: str) -> Iterator[str]:
    """Changes one item, deletes another and adds a stray one; says so after each."""
    changed, deleted = (key_of_first(client, table, entity) for entity in ("EXECUTION_LOG", "TASK"))
    client.update_item(
        TableName=table,
        Key=changed,
        UpdateExpression="SET #data.#level = :level",
        ExpressionAttributeNames={"#data": "Data", "#level": "logLevel"},
        ExpressionAttributeValues={":level": {"S": "FORGED"}},
    )
    yield f"changed  {shown(changed)}: Data.logLevel"
    client.delete_item(TableName=table, Key=deleted)
    yield f"deleted  {shown(deleted)}"
    client.put_item(TableName=table, Item=STRAY)
    yield f"added    {shown({name: STRAY[name] for name in ('PK', 'SK')})}"


def key_of_first(client: DynamoDBClient, table: str, entity: str) -> dict[str, Any]:
    """The key of some item of an entity."""
    pages = client.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="EntityType = :type",
        ExpressionAttributeValues={":type": {"S": entity}},
        ProjectionExpression="PK, SK",
    )
    for page in pages:
        if page["Items"]:
            return dict(page["Items"][0])
    raise MigratorError(f"the demo found no item of {entity} to corrupt", next_step="Run it with more --rows.")


def shown(key: dict[str, Any]) -> str:
    """A key as a reader knows it."""
    return " / ".join(value["S"] for value in key.values())


def say(title: str, sentence: str) -> None:
    """What comes next, and why."""
    click.echo(f"\n{click.style(title, bold=True)}\n  {sentence}")
    sys.stdout.flush()


def run(program: str, *arguments: str, expected: int = 0) -> None:
    """Runs a command as a user would, and shows it.

    Raises:
        MigratorError: it ended otherwise than the demo expects.
    """
    module = "migrator" if program == "migrate" else program
    click.echo(click.style(f"  $ {shlex.join([program, *arguments])}", fg="cyan"))
    sys.stdout.flush()
    done = subprocess.run([sys.executable, "-m", module, *arguments], check=False)  # noqa: S603 - commands written above
    if done.returncode != expected:
        raise MigratorError(
            f"`{shlex.join([program, *arguments])}` ended with {done.returncode}, expected {expected}",
            safe="The demo reaches no store but its own.",
            next_step="See the messages above; `make test` tells whether this machine runs the project as it should.",
        )
