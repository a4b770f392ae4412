"""The target as an application reads it: one client in a thread of its own, for threads and event loops alike."""

from __future__ import annotations

import asyncio
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

from migrator.app.forks import told_of_forks
from migrator.app.loop_thread import LoopThread
from migrator.dynamodb.client import Client
from migrator.dynamodb.session import open_session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from migrator.app.mirror import Place

_Answer = TypeVar("_Answer")
_CLOSING_SECONDS: Final = 1.0


class Target:
    """Starts with the first question, and in a child of fork anew.

    Args:
        place: where the target is.
        deadline: seconds after which attempts at one request end.
    """

    def __init__(self, place: Place, deadline: float) -> None:
        self._place = place
        self._deadline = deadline
        self._wanted = False
        self._is_open = False
        self._starting = Lock()
        self._thread: LoopThread | None = None
        self._client: asyncio.Task[Client] | None = None
        told_of_forks(self)

    def want(self) -> None:
        """Has the client opened beforehand, since it will be asked: that takes longer than a read should."""
        self._wanted = True
        self._open_beforehand()

    def open(self) -> None:
        """Opens the client, in the thread, where it is wanted."""
        self._is_open = True
        self._open_beforehand()

    def _open_beforehand(self) -> None:
        if self._wanted and self._is_open:
            # What cannot be opened is the first question's to tell.
            self.ask(_nothing)

    def ask(self, question: Callable[[Client], Awaitable[_Answer]]) -> Future[_Answer]:
        """Asks the target something; the future fails as the question does, or because there is no client.

        Raises (through the future):
            ConfigurationError: the target cannot be opened; the next question tries again.
        """
        with self._starting:
            if self._thread is None:
                self._thread = LoopThread("migrator reads", self._until_stopped)
                self._thread.start()
            return self._thread.submit(self._answer(question))

    async def aask(self, question: Callable[[Client], Awaitable[_Answer]]) -> _Answer:
        """As `ask`, awaited on an event loop; who waits is not cancelled where the thread has ended.

        Raises:
            concurrent.futures.CancelledError: the thread has ended.
        """
        asked = self.ask(question)
        answered = asyncio.wrap_future(asked)
        try:
            await asyncio.wait([answered])
            return asked.result(0)
        finally:
            answered.cancel()

    def close(self) -> None:
        """Ends the thread with its connections; the next question starts it again."""
        self._is_open = False
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                thread.stop(_CLOSING_SECONDS)

    def forked(self) -> LoopThread | None:
        """In the child of a fork: the thread is the parent's."""
        inherited, self._thread, self._client = self._thread, None, None
        self._starting = Lock()
        return inherited

    async def _answer(self, question: Callable[[Client], Awaitable[_Answer]]) -> _Answer:
        return await question(await self._opened())

    async def _opened(self) -> Client:
        """The client, opened by the first who needs it."""
        if self._client is None or (self._client.done() and self._client.exception() is not None):
            self._client = asyncio.create_task(self._open())
        return await asyncio.shield(self._client)

    async def _open(self) -> Client:
        place = self._place
        session = await asyncio.to_thread(
            open_session, profile=place.profile, region=place.region, endpoint_url=place.endpoint_url
        )
        return await Client(session, patience=self._deadline, request_timeout=self._deadline).__aenter__()

    async def _until_stopped(self, stopping: asyncio.Event) -> None:
        try:
            await stopping.wait()
        finally:
            client, self._client = self._client, None
            if client is not None and client.done() and client.exception() is None:
                await client.result().__aexit__(None, None, None)


async def _nothing(_client: Client) -> None:
    """No question: the client is only to be there."""
