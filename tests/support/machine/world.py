"""The world of the machine: a source, a target, the clock and the network between them, and what can be done in it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import asyncpg
import pytest

from migrator import phases
from migrator.app import Limits as MirrorLimits
from migrator.app.mirror import Mirror
from migrator.dynamodb.client import Client
from migrator.dynamodb.transport import HttpTransport
from migrator.engines import copy, relay
from migrator.engines.relay.burial import purge
from migrator.errors import GateError, LockedError
from migrator.mapping import forward
from migrator.postgres import capture, pending
from migrator.postgres.connection import connect, pool
from tests.support import accounts
from tests.support.machine import seams
from tests.support.machine.clock import INSTALL, SEARCH_PATH, Clock, MovableLoop
from tests.support.machine.network import Network
from tests.support.machine.process import Process
from tests.support.machine.repairing import TIMES, LostError, repaired
from tests.support.machine.sessions import Known, kept_open
from tests.support.migration import Migration, migration, source_template
from tests.support.round_trip import source_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from migrator.app.row_name import RowName
    from migrator.mapping import WireItem
    from migrator.postgres.connection import Connection
    from migrator.postgres.phases import Phase
    from migrator.postgres.rows import RowSource
    from tests.support.stores import Database, DynamoDBStore

_SOURCES: Final = tuple(f"public.{entity.source_name}" for entity in accounts.MODEL.entities)
_EMPTY: Final = (
    "DELETE FROM accounts",
    "DELETE FROM seats",
)
_FORGET: Final = (
    "DELETE FROM migrator.marks",
    "DELETE FROM migrator.copy_ranges",
    "DELETE FROM migrator.copies",
    "DELETE FROM migrator.phases",
    "DELETE FROM migrator.tombstones",
)
_LOCK_PATIENCE: Final = "30ms"
_DELETED_AT_ONCE: Final = 25


@dataclass
class Figures:
    """What has happened in all sequences: points reached and died at, sequences, steps, requests that arrived late."""

    reached: Counter[str] = field(default_factory=Counter)
    crashed: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        done = ", ".join(f"{count:,} {what}" for what, count in sorted(self.done.items()))
        return f"{done}; deaths: {', '.join(f'{point} {count:,}' for point, count in sorted(self.crashed.items()))}"


class World:
    """Everything between a source and a target. Made by `world`."""

    def __init__(self, made: Migration, clock: Clock, network: Network) -> None:
        self.migration = made
        self.clock = clock
        self.network = network
        self.figures = Figures()
        self.processes: list[Process] = []
        self.control: Connection
        self.sessions: list[Connection] = []
        self._stores = made.stores
        self._known = Known()
        self._sources: dict[str, RowSource] = {}
        self._boto3: DynamoDBClient

    @asynccontextmanager
    async def opened(self, client: DynamoDBClient, patch: pytest.MonkeyPatch) -> AsyncIterator[None]:
        """Opens the sessions of the machine itself, and those of the application."""
        self._boto3 = client
        url = self.migration.database.url
        settings = {"lock_timeout": _LOCK_PATIENCE}
        self._known.remember(patch)
        async with kept_open(url, patch):
            self.control = await connect(url, purpose="test")
            self.sessions = [await asyncpg.connect(url, server_settings=settings) for _ in range(2)]
            self._sources = {
                entity.name: await source_of(self.control, entity) for entity in self.migration.model.entities
            }
            try:
                yield
            finally:
                for session in (*self.sessions, self.control):
                    await session.close()

    async def begin(self, *rows: str) -> None:
        """A new sequence: these statements make rows that have no marks, as those from before capture was installed."""
        # Those of a sequence that has failed.
        self.reap()
        for process in list(self.processes):
            await self.crash(process)
        for session in range(len(self.sessions)):
            await self.rollback(session)
        self.network.forget()
        self._delete_items()
        await self.control.execute("; ".join((*_EMPTY, *rows, *_FORGET)))
        await self.accept()
        self.figures.done["sequences"] += 1

    async def accept(self) -> None:
        """Takes the source's tables as they are: whoever calls brings the target up to date."""
        for source in _SOURCES:
            seen = await capture.look(self.control, source)
            assert seen is not None
            await capture.accept(self.control, seen)
        self._known.truncated = False

    # What the application does.

    async def execute(self, statement: str, session: int = 0) -> bool:
        """One statement in a session; returns whether it was done. Whatever fails ends the session's transaction."""
        connection = self.sessions[session]
        try:
            await connection.execute(statement)
        except (
            asyncpg.IntegrityConstraintViolationError,
            asyncpg.LockNotAvailableError,
            asyncpg.DeadlockDetectedError,
        ):
            await self.rollback(session)
            return False
        return True

    async def truncate(self, table: str) -> bool:
        """TRUNCATE, which leaves no marks of rows: the table has to be brought up to date as a whole (`resync`)."""
        if not await self.execute(f"TRUNCATE {table}"):
            return False
        self._known.truncated = True
        return True

    async def rollback(self, session: int) -> None:
        if self.sessions[session].is_in_transaction():
            await self.sessions[session].execute("ROLLBACK")

    # What runs beside it.

    async def start(self, process: Process, work: Coroutine[Any, Any, object]) -> Process:
        """Starts a process, and lets it come to its first point, or to its end where it is free."""
        self.processes.append(process)
        process.start(work)
        await process.pause()
        self.reap()
        return process

    async def relay(self, *, batch: int = 200, batches: int = 1, free: bool = False, drain: bool = False) -> Process:
        """A relay: that is stopped after some batches or, with `drain`, when no mark waits."""
        process = Process("relay", free=free)
        work = relay.relay(
            self.migration.model,
            self.migration.model.entities,
            self._stores,
            limits=relay.Limits(batch, TIMES),
            until_empty=drain,
            stop=asyncio.Event() if drain else process.stop,
            listener=_Until(batches, process.stop),
        )
        return await self.start(process, work)

    async def copy(self, *, restart: bool = False, free: bool = False) -> Process:
        """A copy of both tables."""
        work = copy.copy(
            self.migration.model,
            self.migration.model.entities,
            self._stores,
            mappings=self.migration.mappings,
            limits=copy.Limits(times=TIMES),
            restart=restart,
            listener=copy.Silent(),
        )
        # A page is read while another is written.
        return await self.start(Process("copy", free=free, grace=0.003), work)

    async def mirror(self, rows: Sequence[RowName], *, free: bool = False) -> Process:
        """The mirror of an application, with rows of a transaction."""
        return await self.start(Process("mirror", free=free), self._mirror(rows))

    async def _mirror(self, rows: Sequence[RowName]) -> None:
        limits = MirrorLimits(times=TIMES)
        async with (
            pool(self.migration.database.url, purpose="mirror", size=3) as sessions,
            Client(self._stores.target()) as client,
        ):
            mirror = Mirror(self.migration.model, sessions, client, limits)
            await mirror.inspect()
            await mirror.carry(rows)

    async def purge(self, *, free: bool = False) -> Process:
        """A purge of old tombstones."""
        return await self.start(Process("purge", free=free), self._purge())

    async def _purge(self) -> None:
        connection = await connect(self.migration.database.url, purpose="relay")
        try:
            async with Client(self._stores.target()) as client:
                await purge(connection, client, self.migration.table, TIMES.life)
        finally:
            await connection.close()

    async def crash(self, process: Process) -> None:
        self.figures.crashed.update(await process.crash())
        self.reap()

    def reap(self) -> None:
        """Forgets the processes that have ended."""
        for process in [each for each in self.processes if each.ended]:
            self.figures.reached += process.reached
            self.figures.done[f"{process.kind} processes"] += 1
            self.processes.remove(process)

    # What operators do.

    async def move(self, to: Phase) -> bool:
        """Moves to a phase, if the gates let it pass; returns whether it is there."""
        try:
            await phases.move(self.migration.model, self.migration.database.url, to, life=TIMES.life)
        except (GateError, LockedError):
            return False
        return True

    async def move_without_lock(self, to: Phase) -> bool:
        """The same, beside a copy that has lost the session with its lock."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(import_module("migrator.phases.move"), "lock", _unlocked)
            return await self.move(to)

    async def resync(self) -> None:
        """Brings the target up to date after TRUNCATE, with nothing else running."""
        if await repaired(self.migration, self.clock, self.control):
            self._known.truncated = False
        else:
            await self._copy_anew()

    async def _copy_anew(self) -> None:
        """From `prepare`, in which nothing is repaired: the target is emptied, and all copied."""
        await self.clock.forward(self.control, TIMES.life)
        await self.accept()
        self._delete_items()
        await (await self.copy(restart=True, free=True)).finish()
        self.reap()

    # What must hold.

    async def settle(self) -> None:
        """Ends all faults, lets everything come to rest, and sees that target and source agree."""
        for process in list(self.processes):
            await process.finish()
        self.reap()
        if self._known.truncated:
            await self.resync()
        await self.clock.forward(self.control, TIMES.life)
        await (await self.copy(free=True)).finish()
        await self.clock.forward(self.control, TIMES.life)
        if not await self.move("dual_write"):
            raise LostError("the gates of dual_write are closed for good")
        await self._drain()
        for number in range(len(self.network.sent)):
            await self.network.deliver(number)
        await self.compare("when no mark waits")
        await self.clock.forward(self.control, TIMES.life)
        await (await self.purge(free=True)).finish()
        self.reap()
        await self.compare("when tombstones are purged", purged=True)

    async def _drain(self) -> None:
        process = await self.relay(free=True, drain=True)
        await process.finish()
        self.reap()
        error = process.task.exception()
        if error is not None:
            raise error
        backlog = await pending.backlog(self.control, _SOURCES)
        if backlog.waiting or backlog.set_aside:
            raise LostError(f"marks are left: {backlog}")

    async def compare(self, when: str, *, purged: bool = False) -> None:
        """Sees that the target holds what the source's rows are mapped to, and nothing else."""
        stored = self._items()
        found = [{name: value for name, value in item.items() if name != "_v"} for item in stored if "_del" not in item]
        expected, actual = await self._expected(), self.migration.normal(found)
        differing = sorted(key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key))
        if differing:
            shown = "\n  ".join(f"{key}: {actual.get(key)}, should be {expected.get(key)}" for key in differing)
            raise LostError(f"{when}, source and target differ:\n  {shown}")
        if purged and len(found) != len(stored):
            raise LostError(f"{when}, tombstones are left: {[item for item in stored if '_del' in item]}")

    async def _expected(self) -> dict[str, str]:
        items: list[WireItem] = []
        for entity in self.migration.model.entities:
            source = self._sources[entity.name]
            names = [projected.name for projected in entity.projection]
            page = await source.page(self.control, None, None, 1_000)
            for record in page.records:
                items += forward(entity, dict(zip(names, record, strict=False)))
        return self.migration.normal(items)

    def _items(self) -> list[WireItem]:
        answer = self._boto3.scan(TableName=self.migration.table.name, ConsistentRead=True)
        assert "LastEvaluatedKey" not in answer
        return [cast("WireItem", item) for item in answer["Items"]]

    def _delete_items(self) -> None:
        items = self._items()
        name = self.migration.table.name
        for start in range(0, len(items), _DELETED_AT_ONCE):
            some = items[start : start + _DELETED_AT_ONCE]
            keys = [{"PK": item["PK"], "SK": item["SK"]} for item in some]
            self._boto3.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": key}} for key in keys]})


@asynccontextmanager
async def _unlocked(*_: object) -> AsyncIterator[None]:
    yield


class _Until(relay.Silent):
    """Stops a relay after some batches."""

    def __init__(self, batches: int, stop: asyncio.Event) -> None:
        self._left = batches
        self._stop = stop

    def progressed(self, outcome: relay.Outcome) -> None:  # noqa: ARG002 - a listener's
        self._left -= 1
        if self._left <= 0:
            self._stop.set()


def world(server: Database, store: DynamoDBStore, patch: pytest.MonkeyPatch) -> Iterator[tuple[World, asyncio.Runner]]:
    """Yield a world of the small model, and the runner of its loop; `patch` is undone by its owner."""
    with (
        source_template(server, accounts.metadata, []) as template,
        asyncio.Runner(loop_factory=MovableLoop) as runner,
    ):
        template.execute(
            *(
                statement
                for table, columns in capture.wanted([accounts.MODEL]).items()
                for statement in capture.create_statements(table, columns)
            ),
            *INSTALL,
        )
        with migration(server, template, store, accounts, patch) as made:
            database = urlsplit(made.database.url).path.removeprefix("/")
            made.database.execute(
                f'ALTER DATABASE "{database}" SET search_path = {SEARCH_PATH}',
                # Nothing here outlives the server.
                f'ALTER DATABASE "{database}" SET synchronous_commit = off',
            )
            with made.boto3() as client:
                yield from _running(made, client, runner, patch)


def _running(
    made: Migration, client: DynamoDBClient, runner: asyncio.Runner, patch: pytest.MonkeyPatch
) -> Iterator[tuple[World, asyncio.Runner]]:
    loop = runner.get_loop()
    assert isinstance(loop, MovableLoop)
    clock = Clock(loop)
    stores = made.stores
    http = HttpTransport(stores.target())
    network = Network(http, clock, TIMES.signature + TIMES.skew)
    seams.install(patch, network)
    made_world = World(made, clock, network)
    opened = made_world.opened(client, patch)
    runner.run(http.__aenter__())
    runner.run(opened.__aenter__())
    try:
        yield made_world, runner
    finally:
        runner.run(opened.__aexit__(None, None, None))
        runner.run(http.__aexit__(None, None, None))
