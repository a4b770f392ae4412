"""A thread with an event loop of its own, in which one piece of work goes on until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from concurrent.futures import Future

_Answer = TypeVar("_Answer")
_LOG: Final = logging.getLogger("migrator.app")
_LAST_SECONDS: Final = 2.0


class LoopThread:
    """From `start` to `stop`. The thread is a daemon's: whoever starts it stops it before the interpreter ends.

    Args:
        name: the thread's name.
        work: what goes on in it; it ends when the event that it is given is set.
    """

    def __init__(self, name: str, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        self._work = work
        self._ready = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._main: asyncio.Task[None]

    def start(self) -> None:
        """Starts the thread and returns when its loop runs."""
        self._thread.start()
        self._ready.wait()

    def stop(self, seconds: float) -> None:
        """Ends the work, for which it has so many seconds, and the thread with it."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(seconds)
            self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(_LAST_SECONDS)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Has the loop call a function; nothing happens where it has ended."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function)

    def submit(self, coroutine: Coroutine[Any, Any, _Answer]) -> Future[_Answer]:
        """Runs a coroutine beside the work."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _run(self) -> None:
        # Whatever loop the policy of the application makes for its own threads.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            try:
                runner.run(self._all())
            except asyncio.CancelledError:
                _LOG.debug("%s was stopped before its work had ended", self._thread.name)
            finally:
                self._ready.set()

    async def _all(self) -> None:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()  # type: ignore[assignment] # a task
        self._stopping = asyncio.Event()
        self._ready.set()
        await self._work(self._stopping)
