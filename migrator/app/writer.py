"""The dual writer: what an application attaches to its sessions."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeAlias

from sqlalchemy.util import await_only
from sqlalchemy.util.concurrency import in_greenlet

from migrator.app.collector import Collector
from migrator.app.counts import Tally
from migrator.app.forks import told_of_forks
from migrator.app.lifespan import Lifespan
from migrator.app.limits import Limits
from migrator.app.mirror import Place
from migrator.app.own_writes import here, noted
from migrator.app.worker import Handed, Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.app.collector import Target
    from migrator.app.counts import Counts, Reason
    from migrator.app.row_name import RowName
    from migrator.mapping import Model

Mode: TypeAlias = Literal["background", "inline", "off"]
"""`background`: a commit returns at once; `inline`: when its rows are mirrored, or at the deadline; `off`: none is."""


class DualWriter(Lifespan):
    """Mirrors to DynamoDB what an application commits to PostgreSQL, as soon as it is committed.

    It is an accelerator, never a dependency: every change has its mark from the transaction itself, and a relay carries
    over whatever the mirror leaves. So nothing here raises into the application or holds it up beyond the deadline.
    Rows are mirrored while the phase record says that their entities follow PostgreSQL (`dual_write`, `read_target`).

    The writer works in a thread of its own, which starts with the first commit or with the context manager, and in a
    child of fork anew.

    Args:
        model: the model.
        database_url: the source's primary; None: as the environment's `PG*` variables say.
        region: the target's region; it, `profile` and `endpoint_url` come from the AWS SDK's settings where not given.
        profile: the AWS profile.
        endpoint_url: the target's endpoint.
        mode: when a commit returns. It may be changed at any time: `writer.mode = "off"` is the kill switch.
        deadline: seconds that a commit waits at most in mode `inline`.
        limits: what bounds the mirror otherwise.
    """

    def __init__(  # noqa: PLR0913 - the two stores, as everywhere, and how to go about it
        self,
        model: Model,
        database_url: str | None = None,
        *,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        mode: Mode = "background",
        deadline: float = 1.0,
        limits: Limits | None = None,
    ) -> None:
        self.mode: Mode = mode
        self.deadline = deadline
        self._model = model
        self._place = Place(database_url, region, profile, endpoint_url)
        self._limits = limits or Limits()
        self._collector = Collector(model, self, most=self._limits.commit)
        self._tally = Tally()
        self._starting = Lock()
        self._worker: Worker | None = None
        self._closed = False
        self._remembers = False
        told_of_forks(self)

    @property
    def model(self) -> Model:
        """The model that is mirrored."""
        return self._model

    @property
    def counts(self) -> Counts:
        """What has become of the rows that were committed, in this process."""
        return self._tally.read()

    @property
    def on(self) -> bool:
        """Whether what is committed now is to be mirrored, or at least to be remembered."""
        return self._remembers or self.mode != "off"

    def remember(self) -> None:
        """Has each context know what it has committed from now on, so that it reads that where it is."""
        self._remembers = True

    def attach(self, target: Target) -> None:
        """Mirrors what the sessions of a sessionmaker, or all sessions on an engine, commit from now on.

        Raises:
            UsageError: it is none of these, or the model is mirrored from it already, or this writer is attached.
        """
        self._collector.attach(target)

    def detach(self) -> None:
        """Mirrors no more. What is queued is still carried over."""
        self._collector.detach()

    def open(self) -> None:
        """Starts the thread, which opens the stores; a failure to do so is logged, and tried again."""
        with self._starting:
            self._closed = False
            self._started()

    def close(self, timeout: float = 5.0) -> None:
        """Carries over what is queued, for `timeout` seconds at most, and ends the thread with its connections.

        The writer stays attached: what is committed afterwards is left to the relay, until `open`.
        """
        with self._starting:
            self._closed = True
            worker, self._worker = self._worker, None
        atexit.unregister(self.close)
        if worker is not None:
            worker.stop(timeout)

    async def aclose(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - what is bounded is another thread's work
        """As `close`, without holding up the event loop."""
        await asyncio.to_thread(self.close, timeout)

    def begun(self) -> None:
        """A transaction begins: whoever began it is to know what it commits, whichever task does so."""
        if self._remembers:
            here()

    def committed(self, rows: Sequence[RowName], left: Mapping[Reason, int]) -> None:
        """A transaction was committed that has touched these rows, and others that are left to the relay."""
        writes = noted(rows, others=bool(left)) if self._remembers else {}
        if self.mode == "off":
            return
        self._tally.add(touched=len(rows), left=left)
        worker = self._running()
        if worker is None:
            self._tally.add(left={"closed": len(rows)})
            return
        followed = worker.followed
        wanted = rows if followed is None else [row for row in rows if row.source in followed]
        if len(wanted) < len(rows):
            self._tally.add(left={"phase": len(rows) - len(wanted)})
        if not wanted:
            return
        done: concurrent.futures.Future[None] | None = concurrent.futures.Future() if self.mode == "inline" else None
        reason = worker.submit(Handed(wanted, done, writes))
        if reason is not None:
            self._tally.add(left={reason: len(wanted)})
        elif done is not None:
            self._wait(done)

    def _wait(self, done: concurrent.futures.Future[None]) -> None:
        """Waits for the mirror, until the deadline; an event loop goes on meanwhile."""
        if in_greenlet():
            await_only(self._awaited(done))
        else:
            concurrent.futures.wait([done], self.deadline)
        if not done.done():
            self._tally.add(late=1)

    async def _awaited(self, done: concurrent.futures.Future[None]) -> None:
        waiting = asyncio.wrap_future(done)
        try:
            await asyncio.wait([waiting], timeout=self.deadline)
        finally:
            # The loop may be gone when the mirror is done. It goes on; only nobody is told.
            waiting.cancel()

    def _running(self) -> Worker | None:
        if self._worker is not None:
            return self._worker
        with self._starting:
            return self._started()

    def _started(self) -> Worker | None:
        """The worker, started where there is none; None after `close`."""
        if self._worker is None and not self._closed:
            self._worker = Worker(self._model, self._place, self._limits, self._tally)
            self._worker.start()
            # Before the interpreter ends, what is queued is carried over and the sessions are closed.
            atexit.register(self.close)
        return self._worker

    def forked(self) -> Worker | None:
        """In the child of a fork: the worker is the parent's; the child's own starts when it is needed."""
        inherited, self._worker = self._worker, None
        self._starting = Lock()
        self._tally = Tally()
        return inherited
