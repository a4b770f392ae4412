"""Random sequences of everything that may happen while a model is moved; at the end, nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.support.machine import statements
from tests.support.machine.repairing import TIMES

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from migrator.app.row_name import RowName
    from migrator.postgres.phases import Phase
    from tests.support.machine.process import Fate, Process
    from tests.support.machine.world import World

T = TypeVar("T")
Running: TypeAlias = "tuple[World, asyncio.Runner]"
Steps: TypeAlias = "list[tuple[int, Fate]]"
_MOST_PROCESSES: Final = 2
"""Of one kind, at once."""
_FATES: Final = st.sampled_from(("delivered", "delivered", "delivered", "unanswered", "held"))
_SMALL: Final = st.integers(0, 5)
_STEPS: Final = st.lists(st.tuples(_SMALL, _FATES), min_size=1, max_size=12)
_THEN: Final = st.sampled_from(("wait", "wait", "finish", "crash", "crash"))
_SPANS: Final = {
    "a request may no longer be sent": TIMES.request + 1,
    "a page may no longer be sent": TIMES.page + 1,
    "a signature has expired": TIMES.signature + TIMES.skew + 1,
    "a life is over": TIMES.life + 1,
}
_ROWS: Final = st.just(list(statements.NAMES)) | st.lists(st.sampled_from(statements.NAMES), min_size=1, max_size=2)
_CHANGES: Final = st.lists(
    statements.SINGLE | statements.SINGLE | statements.SEVERAL | statements.WHOLE, min_size=1, max_size=3
)


SETTINGS: Final = settings(
    deadline=None,
    database=None,
    print_blob=True,
    # How long a sequence takes is up to the stores.
    suppress_health_check=list(HealthCheck),
)


class Sequences(RuleBasedStateMachine):
    """One sequence, in a world that is begun anew; `sequences_in` names the world."""

    world: ClassVar[World]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self._open = [False, False]
        self._truncates = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @initialize(
        accounts=statements.ACCOUNTS,
        seats=statements.SEATS,
        phase=st.sampled_from(("dual_write, copied",) * 5 + ("prepare", "prepare, copied", "dual_write")),
        truncates=st.integers(0, 9),
    )
    def begin(self, accounts: list[tuple[str, str]], seats: list[str], phase: str, truncates: int) -> None:
        """Most are mirrored from the start, and few see a TRUNCATE: to resynchronise would heal what was lost."""
        self._truncates = not truncates
        self.run(self.world.begin(*statements.initial(accounts, seats)))
        if phase.endswith("copied"):
            self.run(self._whole(self.world.copy(free=True)))
        if phase.startswith("dual_write"):
            self.run(self.world.clock.forward(self.world.control, TIMES.life + 1))
            assert self.run(self.world.move("dual_write"))

    async def _whole(self, started: Coroutine[Any, Any, Process]) -> None:
        await (await started).finish()
        self.world.reap()

    # The application.

    @rule(changes=_CHANGES)
    def commit(self, changes: list[str]) -> None:
        """One transaction each."""
        session = 0 if not self._open[0] else 1
        for change in changes if not self._open[session] else ():
            self._execute(change, session)

    @rule(
        statement=statements.SINGLE | statements.SEVERAL,
        session=st.integers(0, 1),
        then=st.sampled_from((None, None, "ROLLBACK TO SAVEPOINT here", "COMMIT", "COMMIT", "ROLLBACK")),
    )
    def write(self, statement: str, session: int, then: str | None) -> None:
        """Within a transaction, which may stay open: of two that are open, either may be the first to be committed."""
        if not self._open[session]:
            self._execute("BEGIN", session)
        self._execute("SAVEPOINT here", session)
        self._open[session] = self._execute(statement, session)
        if self._open[session] and then is not None:
            self._open[session] = self._execute(then, session) and then.startswith("ROLLBACK TO")

    @rule(table=st.sampled_from(("accounts", "seats")), resync=st.booleans())
    def truncate(self, table: str, resync: bool) -> None:  # noqa: FBT001 - drawn
        """TRUNCATE; what is to be done about it is done at once, where nothing else runs, or at the end."""
        if self._truncates and not any(self._open):
            self.run(self.world.truncate(table))
            if resync and not self.world.processes:
                self.run(self.world.resync())

    def _execute(self, statement: str, session: int) -> bool:
        self.world.figures.done["statements"] += 1
        return self.run(self.world.execute(statement, session))

    # What runs beside it.

    @rule(changes=_CHANGES, which=_SMALL, batch=st.sampled_from((1, 200)), steps=_STEPS, then=_THEN)
    def relay(self, changes: list[str], which: int, batch: int, steps: Steps, then: str) -> None:
        self.commit(changes)
        self._lead("relay", which, lambda: self.world.relay(batch=batch, batches=2), steps, then)

    @rule(changes=_CHANGES, which=_SMALL, rows=_ROWS, steps=_STEPS, then=_THEN)
    def mirror(self, changes: list[str], which: int, rows: list[RowName], steps: Steps, then: str) -> None:
        self.commit(changes)
        self._lead("mirror", which, lambda: self.world.mirror(rows), steps, then)

    @rule(restart=st.booleans(), steps=_STEPS, then=_THEN)
    def copy(self, restart: bool, steps: Steps, then: str) -> None:  # noqa: FBT001 - drawn
        self._lead("copy", 0, lambda: self.world.copy(restart=restart), steps, then)

    @rule(steps=_STEPS, then=_THEN)
    def purge(self, steps: Steps, then: str) -> None:
        self._lead("purge", 0, self.world.purge, steps, then)

    def _lead(
        self, kind: str, which: int, start: Callable[[], Coroutine[Any, Any, Process]], steps: Steps, then: str
    ) -> None:
        """Lets a process on from point to point: one that is under way, or where `which` names none, a new one."""
        known = [process for process in self.world.processes if process.kind == kind]
        most = _MOST_PROCESSES if kind in {"relay", "mirror"} else 1
        wanted = which % most
        process = known[wanted] if wanted < len(known) else self.run(start())
        for task, fate in steps:
            self.world.figures.done["steps of processes"] += self.run(process.step(task, fate)) is not None
        if then == "finish":
            self.run(process.finish())
        elif then == "crash":
            self.run(self.world.crash(process))
        self.world.reap()

    @property
    def _copying(self) -> bool:
        return any(process.kind == "copy" for process in self.world.processes)

    @rule(kind=st.sampled_from(("relay", "relay", "relay", "copy", "purge")))
    def run_to_its_end(self, kind: str) -> None:
        """A process that nothing happens to."""
        match kind:
            case "relay":
                self.run(self._whole(self.world.relay(batches=1_000, free=True)))
            case "purge":
                self.run(self._whole(self.world.purge(free=True)))
            case _ if not self._copying:
                self.run(self._whole(self.world.copy(free=True)))

    # The network, the clock, and the operators.

    @rule(numbers=st.lists(st.integers(0, 20), min_size=1, max_size=4))
    def deliver_late(self, numbers: list[int]) -> None:
        for number in numbers:
            self.run(self.world.network.deliver(number))

    @rule(span=st.sampled_from(tuple(_SPANS)))
    def pass_time(self, span: str) -> None:
        self.run(self.world.clock.forward(self.world.control, _SPANS[span]))

    @rule(to=st.sampled_from((None, None, "dual_write", "dual_write", "prepare")), patient=st.booleans())
    def move(self, to: Phase | None, patient: bool) -> None:  # noqa: FBT001 - drawn
        """Moves to another phase; beside a copy, as if that had lost the session that holds its lock."""
        if to is None:
            return
        if patient:
            self.run(self.world.clock.forward(self.world.control, TIMES.life + 1))
        self.run(self.world.move_without_lock(to) if self._copying else self.world.move(to))

    def teardown(self) -> None:
        self.run(self.world.execute("COMMIT", 0))
        self.run(self.world.rollback(1))
        self.run(self.world.settle())


def sequences_in(world: World, runner: asyncio.Runner) -> type[Sequences]:
    """The machine of a world, given the runner of its loop."""
    return type("Sequences", (Sequences,), {"world": world, "runner": runner})
