"""The read router: each read goes to the store that its entity's phase names."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from migrator.app import own_writes
from migrator.app.course import afollow, follow
from migrator.app.forks import told_of_forks
from migrator.app.gate import Gate
from migrator.app.lease import Lease
from migrator.app.lifespan import Lifespan
from migrator.app.limits import ReadLimits
from migrator.app.master import Masters
from migrator.app.mirror import Place
from migrator.app.question import Question
from migrator.app.read_counts import ReadTally
from migrator.app.target import Target
from migrator.app.watch import Watch
from migrator.errors import UsageError
from migrator.mapping import entity_fingerprint
from migrator.postgres.phases import FOLLOWED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping

    from migrator.app.course import Course, Step
    from migrator.app.read_counts import Cause, ReadCounts
    from migrator.app.writer import DualWriter
    from migrator.mapping import Model

_Answer = TypeVar("_Answer")
_PATIENCE: Final = 0.8
"""The share of the deadline after which the router's own client gives up: its error says more than that time is up."""


class Router(Lifespan):
    """Asks PostgreSQL or DynamoDB, as the phase record says: the ways to ask either are the application's own.

    While PostgreSQL is the master, DynamoDB's failure is never the caller's: PostgreSQL is asked then, as it is for
    what this context has written and DynamoDB may not have yet. Its answer counts as long as the phase record says that
    it is the master; once DynamoDB is, it alone is asked.

    A thread of the router's own reads the phase record under a lease, and repeats a sample of the reads in both stores.
    It starts with the context manager, or with the first read, and in a child of fork anew. It ends when all is
    `complete`: PostgreSQL may be switched off then.

    Args:
        model: the model.
        database_url: the source's primary; None: as the environment's `PG*` variables say.
        phase: `complete` for an application that has left PostgreSQL behind: no session on it is ever opened.
        writer: what mirrors the application's commits, from which it is known what a context has written.
        region: the target's region; it, `profile` and `endpoint_url` come from the AWS SDK's settings where not given.
        profile: the AWS profile.
        endpoint_url: the target's endpoint.
        limits: what bounds the reads.
    """

    def __init__(  # noqa: PLR0913 - the two stores, as everywhere, and how to go about it
        self,
        model: Model,
        database_url: str | None = None,
        *,
        phase: Literal["complete"] | None = None,
        writer: DualWriter | None = None,
        region: str | None = None,
        profile: str | None = None,
        endpoint_url: str | None = None,
        limits: ReadLimits | None = None,
    ) -> None:
        self.limits = limits or ReadLimits()
        self._model = model
        self._patterns = {pattern.id: pattern for pattern in model.patterns}
        self._fingerprints = {entity.name: entity_fingerprint(entity) for entity in model.entities}
        self._place = Place(database_url, region, profile, endpoint_url)
        self.target = Target(self._place, _PATIENCE * self.limits.deadline)
        if writer is not None:
            writer.remember()
        self._closed = False
        self._begin(entity.name for entity in (model.entities if phase == "complete" else ()))
        told_of_forks(self)

    def _begin(self, completed: Iterable[str]) -> None:
        self._lease = Lease(self.limits.lease, completed)
        self.masters = Masters(self._model, self._lease, self.limits, self._running)
        self._tally = ReadTally()
        self._gate = Gate(self.limits)
        self._starting = Lock()
        self._watch: Watch | None = None
        self._threads = ThreadPoolExecutor(self.limits.at_once, thread_name_prefix="migrator read")

    @property
    def model(self) -> Model:
        """The model whose access patterns are asked."""
        return self._model

    @property
    def counts(self) -> dict[str, ReadCounts]:
        """Where reads went, and what the sample of them has shown, in this process, by the access pattern's id."""
        return self._tally.read()

    def open(self) -> None:
        """Starts the thread, which reads the phase record; reads wait for it."""
        with self._starting:
            self._closed = False
            self._started()

    def close(self) -> None:
        """Ends the threads with their connections.

        Until `open`, reads go to PostgreSQL, or to DynamoDB where that was the master, and no repository writes.
        """
        with self._starting:
            self._closed = True
            watch, self._watch = self._watch, None
            threads, self._threads = self._threads, ThreadPoolExecutor(self.limits.at_once)
        atexit.unregister(self.close)
        if watch is not None:
            watch.stop()
        self.target.close()
        threads.shutdown(wait=False, cancel_futures=True)

    async def aclose(self) -> None:
        """As `close`, without holding up the event loop."""
        await asyncio.to_thread(self.close)

    def question(self, pattern: str, parameters: Mapping[str, object]) -> Question:
        """An access pattern with values.

        Raises:
            UsageError: the model has no such pattern, or a value is missing, unknown or of another type.
        """
        found = self._patterns.get(pattern)
        if found is None:
            raise UsageError(
                f"model {self._model.name} has no access pattern {pattern}",
                next_step=f"It has: {', '.join(self._patterns)}.",
            )
        return Question(found, parameters)

    def read(
        self,
        pattern: str,
        parameters: Mapping[str, object],
        *,
        postgres: Callable[[], _Answer],
        dynamodb: Callable[[], _Answer],
    ) -> _Answer:
        """Asks one of the stores, and returns its answer.

        Args:
            pattern: the access pattern's id in the model.
            parameters: its values.
            postgres: asks PostgreSQL; what it raises is the caller's.
            dynamodb: asks DynamoDB. It is called in another thread; it may go on there when the deadline has passed.

        Raises:
            UsageError: as `question`.
            TimeoutError: DynamoDB is the master, and has not answered within the deadline.
            UnavailableError: which one is cannot be read from the phase record.
        """
        return self.answer(self.question(pattern, parameters), postgres=postgres, dynamodb=dynamodb)

    async def aread(
        self,
        pattern: str,
        parameters: Mapping[str, object],
        *,
        postgres: Callable[[], Awaitable[_Answer]],
        dynamodb: Callable[[], Awaitable[_Answer]],
    ) -> _Answer:
        """As `read`, for an event loop; a read of DynamoDB is cancelled at the deadline."""
        return await self.aanswer(self.question(pattern, parameters), postgres=postgres, dynamodb=dynamodb)

    def answer(
        self, question: Question, *, postgres: Callable[[], _Answer], dynamodb: Callable[[], _Answer]
    ) -> _Answer:
        """`read`, of a question that is made already."""

        def take(step: Step) -> _Answer | None:
            if step == "postgres":
                return postgres()
            if step == "record":
                self.masters.look()
                return None
            return self._waited_for(dynamodb, self._gate.over if step == "dynamodb" else None)

        course: Course[_Answer] = self._course(question, counted=True)
        return follow(course, take)

    def within(self, question: Question, postgres: Callable[[], _Answer]) -> _Answer:
        """PostgreSQL's answer, as part of a transaction there.

        Raises:
            FencedError: DynamoDB is the master, and PostgreSQL lacks what was written since.
            UnavailableError: which one is cannot be read from the phase record.
        """
        course: Course[_Answer] = self._course_within(question)
        return follow(course, lambda step: postgres() if step == "postgres" else self.masters.look())

    async def aanswer(
        self,
        question: Question,
        *,
        postgres: Callable[[], Awaitable[_Answer]],
        dynamodb: Callable[[], Awaitable[_Answer]],
    ) -> _Answer:
        """`aread`, of a question that is made already."""

        async def in_time() -> _Answer:
            async with asyncio.timeout(self.limits.deadline):
                return await dynamodb()

        def take(step: Step) -> Awaitable[_Answer | None]:
            if step == "postgres":
                return postgres()
            return self.masters.alook() if step == "record" else in_time()

        course: Course[_Answer] = self._course(question, counted=False)
        return await afollow(course, take)

    async def awithin(self, question: Question, postgres: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """As `within`, for an event loop."""
        course: Course[_Answer] = self._course_within(question)
        return await afollow(course, lambda step: postgres() if step == "postgres" else self.masters.alook())

    def _course(self, question: Question, *, counted: bool) -> Course[_Answer]:
        """How a question is answered: yields what to ask, is sent what that says, and returns the answer that counts.

        Args:
            question: the question.
            counted: a read of DynamoDB holds up a thread.
        """
        entity = question.pattern.entity.name
        answer: _Answer
        moved = self.masters.is_moved(entity)
        if not moved and not self._lease.was_told and self._running() is not None:
            yield "record"
            moved = self.masters.is_moved(entity)
        if not moved:
            cause = self._cause(question) or self._gate.refuses(counted=counted)
            if cause is None:
                try:
                    answer = yield "dynamodb"
                except Exception as error:  # noqa: BLE001 - whatever DynamoDB's way raises, PostgreSQL has the answer
                    cause = self._failed(error)
                except BaseException:
                    self._gate.went(None)
                    raise
                else:
                    self._gate.went(well=True)
                    return self._answered(question, answer)
            self._tally.answered(question.pattern.id, cause)
            answer = yield "postgres"
            if self.masters.is_sure(entity):
                return answer
            if not self.masters.is_moved(entity) and self._running() is not None:
                # Asked after the answer: PostgreSQL was the master then, if it still is.
                yield "record"
            if not self.masters.is_moved(entity):
                return answer
        answer = yield "dynamodb alone"
        return self._answered(question, answer)

    def _course_within(self, question: Question) -> Course[_Answer]:
        """How PostgreSQL alone answers, as `_course`."""
        entity = question.pattern.entity.name
        self.masters.refuse_moved(entity)
        answer: _Answer = yield "postgres"
        if not self.masters.is_sure(entity):
            self.masters.refuse_moved(entity)
            if self._running() is not None:
                yield "record"
            self.masters.refuse_moved(entity)
        return answer

    def _cause(self, question: Question) -> Cause | None:
        """Why PostgreSQL is to be asked, while it is the master; None: DynamoDB may be. Samples the reads as well."""
        watch = self._running()
        if watch is None:
            return "closed"
        if not self._lease.holds:
            return "lease"
        entity = question.pattern.entity
        standing = self._lease.standing(entity.name)
        if standing.phase in FOLLOWED and random.random() < self.limits.sample:  # noqa: S311 - a sample is no secret
            watch.repeat(question)
        if standing.phase not in {"read_target", "write_target"}:
            return "phase"
        if standing.fingerprint not in {None, self._fingerprints[entity.name]}:
            return "mapping"
        if standing.phase == "read_target" and question.place >= standing.percent:
            return "percent"
        return "own_write" if self._is_own(question) else None

    def _is_own(self, question: Question) -> bool:
        """Whether this context has written what the question is about, and DynamoDB may not have it yet."""
        own = own_writes.current()
        if own is None:
            return False
        quiet = self.limits.index_delay if question.is_of_index else 0.0
        return own.waits(question.pattern.entity.source_name, question.key, self._lease.settled, quiet)

    def _waited_for(self, dynamodb: Callable[[], _Answer], over: Callable[[], None] | None = None) -> _Answer:
        """DynamoDB's answer, until the deadline; `over` is called when no thread waits for it any more."""
        future = self._threads.submit(contextvars.copy_context().run, dynamodb)
        if over is not None:
            future.add_done_callback(lambda _: over())
        return future.result(self.limits.deadline)

    def _answered(self, question: Question, answer: _Answer) -> _Answer:
        self._tally.answered(question.pattern.id, None)
        return answer

    def _failed(self, error: Exception) -> Cause:
        self._gate.went(well=False)
        return "slow" if isinstance(error, TimeoutError) else "failed"

    def _running(self) -> Watch | None:
        """The watch, where it runs or may be started."""
        if self._watch is not None:
            return self._watch
        with self._starting:
            return self._started()

    def _started(self) -> Watch | None:
        """The watch, started where there is none; None after `close`."""
        if self._watch is None and not self._closed:
            self._watch = Watch(self._model, self._place, self.limits, self._lease, self._tally)
            self._watch.start()
            self.target.open()
            # Before the interpreter ends, the sessions are closed.
            atexit.register(self.close)
        return self._watch

    def forked(self) -> Hashable:
        """In the child of a fork: the threads are the parent's; the child's own start when they are needed."""
        inherited = (self._watch, self._threads)
        self._begin(self._lease.completed)
        return inherited
