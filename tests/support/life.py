"""The life of a migration: applications that read and write all the while, and commands that move its phase.

Two applications, which hear of a new phase at different times, and two relays run as processes; so do the commands.
Whatever runs is killed now and then, and begun again. All reach DynamoDB through a proxy that injects faults. What the
applications write down is one history, which a checker has to accept.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import asyncpg

from mappings.miyabi import MODEL as MIYABI
from migrator.app.repository.items import Items
from migrator.sandbox.loading import load
from tests.support import renamed
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import Cut, Delay, Late, Unprocessed, server_error, throttle
from tests.support.history import ANY, END, Operation, behind
from tests.support.history_file import Recorder, recorded
from tests.support.life_rows import key_of, rows_of, told, value_of
from tests.support.migration import Migration, reference_mix
from tests.support.preloaded import Command
from tests.support.story import all_rows
from tests.support.story_processes import ROOT, Part, ambient, finished

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from tests.support.faults import Fault
    from tests.support.preloaded import Shown
    from tests.support.stores import Database, DynamoDBStore
    from tests.support.story_rows import Values

# A request that is late arrives within its life: the signature's time stands for how long it may be on its way.
SECONDS: Final = {
    "MIGRATOR_REQUEST_SECONDS": "2",
    "MIGRATOR_PAGE_SECONDS": "5",
    "MIGRATOR_SIGNATURE_SECONDS": "0.5",
    "MIGRATOR_CLOCK_SKEW_SECONDS": "0",
    "MIGRATOR_LEASE_SECONDS": "1.2",
}
FAULTS: Final[list[tuple[Fault, float]]] = [
    (Unprocessed(0.3), 0.05),
    (throttle(), 0.02),
    (server_error(), 0.01),
    (server_error(applied=True), 0.01),
    (Cut("before"), 0.01),
    (Cut("after"), 0.01),
    (Late(0.4), 0.01),
    (Delay(0.1), 0.02),
]
LEASES: Final = (0.5, 1.2)
"""For how many seconds the applications go by a phase; the operator is told the longest."""
BOUND: Final = 20.0
"""By how many seconds a read of DynamoDB may be behind while PostgreSQL is the master, whatever relays go through."""
_HOT: Final = 12
"""Rows of each entity that all sessions work on."""
_GIVEN_UP: Final = 300.0
_PROOFS: Final[dict[tuple[str, ...], tuple[str, ...]]] = {
    ("switch", "reads"): ("verify",),
    ("switch", "writes"): ("verify", "rehearse"),
}
_POLL_SECONDS: Final = 0.05
_BETWEEN_TRIES: Final = 1.0
_TRIES: Final = 8
_TARGET: Final = 6
_LOCKED: Final = 7
_REFUSED: Final = 8


@dataclass
class Figures:
    """What a life has seen."""

    seconds: float = 0.0
    kills: Counter[str] = field(default_factory=Counter)
    moves: list[str] = field(default_factory=list)
    tries: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def show(self, history: list[Operation]) -> str:
        """The figures, for people."""
        writes = Counter(each.outcome for each in history if not each.is_read and each.session != _BEFORE)
        reads = sum(each.is_read for each in history)
        kills = ", ".join(f"{number} of {name}" for name, number in sorted(self.kills.items()))
        faults = ", ".join(f"{name} {number:,}" for name, number in sorted(self.faults.items()))
        keys = len({each.key for each in history})
        return (
            f"{self.seconds:.0f} s: {writes.total() / self.seconds:.0f} writes/s, {reads / self.seconds:.0f} reads/s\n"
            f"{writes.total():,} writes at {keys:,} keys: {writes['acknowledged']:,} acknowledged, "
            f"{writes['refused']:,} refused, {writes['unknown']:,} without an answer; {reads:,} reads, "
            f"the oldest {behind(history):.1f} s behind\n"
            f"{len(self.moves)} moves: {', '.join(self.moves)}; {self.tries} commands were run again\n"
            f"{self.kills.total()} kills: {kills}\n"
            f"{self.requests:,} requests, {self.faults.total():,} faults: {faults}"
        )


@dataclass
class Instance(Part):
    """An application: each time that it is started, it has another number and another file for its history.

    Attributes:
        anew: gives them.
    """

    anew: Callable[[], dict[str, str]] = dict
    _history: Path = Path()

    async def start(self, **more: str) -> None:
        new = self.anew()
        self._history = Path(new["LIFE_HISTORY"])
        await super().start(**new, **more)

    async def end(self, *, ask: bool = True) -> None:
        # Before it lives, it does not know how to end.
        while not self._lives() and await self.check():  # noqa: ASYNC110 - the file tells nobody
            await asyncio.sleep(_POLL_SECONDS)
        await super().end(ask=ask)

    def _lives(self) -> bool:
        return self._history.exists() and self._history.stat().st_size > 0


_BEFORE: Final = "before"
"""The session that wrote what was there at the beginning."""


@dataclass
class Life:
    """The stores, what runs on them, and what is known of it."""

    migration: Migration
    proxy: FaultProxy
    random: Random
    directory: Path
    rate: float
    figures: Figures = field(default_factory=Figures)
    behind: list[tuple[float, float]] = field(default_factory=list)
    """When reads could be behind: from the first command that moves them to the last lease after they are back."""
    _rows: dict[str, list[Values]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def environment(self) -> dict[str, str]:
        """What every process is told."""
        return {**self.migration.through(self.proxy.endpoint_url).variables, **SECONDS}

    async def prepare(self, rows: int) -> None:
        """The source with its rows and capture, the target with its table, nothing copied; the rows to work on."""
        await finished(self.environment, "alembic", "upgrade", "0001")
        connection = await asyncpg.connect(self.migration.database.url)
        try:
            await load(connection, reference_mix(rows))
        finally:
            await connection.close()
        await finished(self.environment, "alembic", "upgrade", "head")
        await self.migrate("prepare", "--yes")
        found = await all_rows(self.migration.database)
        for entity in MIYABI.entities:
            rows_of_table = found[entity.source_name]
            self._rows[entity.name] = self.random.sample(rows_of_table, min(_HOT, len(rows_of_table)))
        (self.directory / "rows").write_text(told(self._rows))

    def application(self, place: int) -> Instance:
        """An application, not yet started; the figures call it by its place, on which its lease depends."""
        more = {
            "LIFE_ROWS": str(self.directory / "rows"),
            "LIFE_SEED": str(self.random.random()),
            "LIFE_RATE": str(self.rate / len(LEASES)),
            "LIFE_LEASE": str(LEASES[place]),
        }
        command = ["tests.support.life_app"]
        return Instance(f"application {place}", command, (), {**self.environment, **more}, anew=self._new_history)

    def relay(self, number: int) -> Part:
        """A relay, not yet started; in `prepare` it ends by itself."""
        return Part(f"relay {number}", ["migrator", "relay"], (), self.environment, ends=(_REFUSED,))

    def _new_history(self) -> dict[str, str]:
        """The number and the file of a process that has never been."""
        number = next(self._numbers)
        return {"LIFE_NUMBER": str(number), "LIFE_HISTORY": str(self.directory / f"history {number}")}

    async def migrate(self, *arguments: str, kills: int = 0, proofs: Sequence[str] = ()) -> None:
        """Run a command, killed so many times before it is let run to its end, until it has done its work.

        Where a gate refuses it, it is run again, after the proofs that it may ask for (`proofs`).

        Raises:
            AssertionError: it does not, however often it is run.
        """
        name = " ".join(word for word in arguments if not word.startswith("-"))
        for _ in range(kills):
            if await self._run(*arguments, seconds=self.random.uniform(0.05, 1.0)) is not None:
                break
            self.figures.kills[name] += 1
        shown = None
        for _ in range(_TRIES):
            shown = await self._run(*arguments, seconds=_GIVEN_UP)
            assert shown is not None, f"{name} has not come to an end in {_GIVEN_UP:g} s"
            if shown.code == 0:
                return
            self.figures.tries += 1
            # The target fails, or what a gate asks for has to come first.
            assert shown.code in {_TARGET, _LOCKED, _REFUSED}, shown
            for proof in proofs if shown.code == _REFUSED else ():
                await self.migrate(proof)
            await asyncio.sleep(_BETWEEN_TRIES)
        raise AssertionError(f"{name} was not done in {_TRIES} times, at last: {shown}")

    async def _run(self, *arguments: str, seconds: float) -> Shown | None:
        """Run a command once; None: it was killed before its end."""
        command = Command(["migrator", *arguments], ROOT, {**ambient(), **self.environment}, seconds)
        try:
            return await asyncio.to_thread(command.show)
        except TimeoutError:
            return None

    async def move(self, *arguments: str, kills: int = 0) -> None:
        """Run a command that moves a phase, and note when reads could be behind."""
        begun = time.monotonic()
        await self.migrate(*arguments, "--yes", kills=kills, proofs=_PROOFS.get(arguments[:2], ()))
        self.figures.moves.append(" ".join(word for word in arguments if word not in {"--wait", "--to"}))
        self._note(arguments, begun, time.monotonic())

    def _note(self, arguments: tuple[str, ...], begun: float, ended: float) -> None:
        if arguments[:2] == ("switch", "reads") and (not self.behind or self.behind[-1][1] < inf):
            self.behind.append((begun, inf))
        elif arguments[:2] != ("switch", "reads") and self.behind and self.behind[-1][1] == inf:
            self.behind[-1] = (self.behind[-1][0], ended + max(LEASES))

    def _bound(self, begin: float, end: float) -> float:
        """By how many seconds a read may be behind."""
        return BOUND if any(first <= end and begin <= last for first, last in self.behind) else 0.0

    async def write(self, writes: int, **more: str) -> None:
        """Have the first application live until it has written so often."""
        application = self.application(0)
        try:
            await application.start(**more)
            while sum(not each.is_read for each in self.history()) < writes + len(self.first):
                await application.check()
                await asyncio.sleep(_POLL_SECONDS)
            await application.end()
        finally:
            application.close()

    async def write_past_the_fence(self) -> str:
        """Lift the fence of a table by hand, and have somebody write there who knows no phase; returns the key."""
        entity, row = renamed.MODEL.entities[0], self._rows["ORGANIZATION"][0]
        key, file = key_of(entity, row), Path(self._new_history()["LIFE_HISTORY"])
        with file.open("ab", buffering=0) as out:  # noqa: ASYNC230 - two lines, in a file of this machine
            recorder = Recorder(out)
            number = recorder.begun("past the fence", key, "past the fence", ANY)
            async with self.migration.session() as session:
                await session.execute("DROP TRIGGER migrator_fence ON organizations")
                await session.execute("UPDATE organizations SET name = 'past the fence' WHERE id = $1", row["id"])
            recorder.ended(number, "acknowledged")
        return key

    async def settled(self) -> None:
        """All changes are where they belong, both stores agree, and every key is read once more, from the master."""
        await self.migrate("relay", "--until-empty")
        await self.migrate("verify")
        await self.read_all()
        self.figures.requests = self.proxy.seen.total()
        self.figures.faults = self.proxy.applied

    async def read_all(self) -> None:
        """Read every key that was ever written, once all is over, from the store that counts."""
        keys = self.directory / "keys"
        keys.write_text(json.dumps(rows_of({each.key for each in self.history()})))
        more = {"LIFE_KEYS": str(keys), "LIFE_LEASE": str(LEASES[0]), **self._new_history()}
        await finished({**self.environment, **more}, "tests.support.life_app")

    @property
    def first(self) -> list[Operation]:
        """What was there at the beginning, as if it had been written."""
        return [
            Operation(_BEFORE, key_of(entity, row), "write", 0, 0, value=value_of(entity, shape.of_source(row)))
            for entity, shape in ((each, Items(renamed.MODEL, each.name).shape) for each in renamed.MODEL.entities)
            for row in self._rows[entity.name]
        ]

    def history(self) -> list[Operation]:
        """All that was written down."""
        files = sorted(self.directory.glob("history *"))
        lived = [each for file in files for each in recorded(file, self._bound)]
        # When all has settled, nothing may be behind any more.
        return self.first + [replace(each, bound=0.0) if each.session == END else each for each in lived]


@asynccontextmanager
async def life(database: Database, store: DynamoDBStore, seed: int, *, rows: int, rate: float) -> AsyncIterator[Life]:
    """Yield a life that is prepared: in `prepare`, nothing copied, nothing running yet and no faults.

    Args:
        database: the source, empty.
        store: the target.
        seed: of what is drawn.
        rows: how many rows the source has.
        rate: how many operations a second all applications together aim at.
    """
    model = renamed.renamed(MIYABI, store.table_name("life"))
    with TemporaryDirectory() as directory, FaultProxy(store.endpoint_url, seed=seed) as proxy:
        migration = Migration(model, renamed.__name__, database, store)
        made = Life(migration, proxy, Random(seed), Path(directory), rate)  # noqa: S311 - repeatable, not secret
        await made.prepare(rows)
        yield made
