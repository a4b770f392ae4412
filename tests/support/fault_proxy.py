"""An HTTP proxy between a client and a DynamoDB endpoint that injects faults. It listens on 127.0.0.1 only.

It runs in a thread with an event loop of its own, so that synchronous and asynchronous tests and commands run as
processes can all use it:

    with FaultProxy(dynamodb.endpoint_url, seed=1) as proxy:
        proxy.inject(throttle(), on="BatchWriteItem", rate=0.1)
        proxy.inject(Cut("after"), on="PutItem", skip=2, times=1)
        ...
        with proxy.failing(Cut("before")):  # the target is down until the block ends
            ...
"""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

from tests.support.faults import Answer, Exchange

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.support.faults import Fault

_HOST = "127.0.0.1"
_START_SECONDS = 30.0
# What is still held back then is given up; aiohttp takes 0 for "without end".
_SHUTDOWN_SECONDS = 0.05
_LARGEST_REQUEST = 17 * 1024 * 1024
# These describe one connection, not the message, or are set anew for the body at hand.
_NOT_FORWARDED = {"connection", "content-length", "keep-alive", "transfer-encoding"}


@dataclass
class Rule:
    """Which requests a fault is applied to. `applied` counts how often that was."""

    fault: Fault
    on: str | None
    rate: float
    skip: int
    times: int | None
    applied: int = field(default=0, init=False)
    _matched: int = field(default=0, init=False)

    def takes(self, operation: str, random: Random) -> bool:
        """Decide on one request, and count it."""
        if (self.on is not None and self.on != operation) or not self.fault.fits(operation):
            return False
        self._matched += 1
        if self._matched <= self.skip or (self.times is not None and self.applied >= self.times):
            return False
        if self.rate < 1 and random.random() >= self.rate:
            return False
        self.applied += 1
        return True


class FaultProxy:
    """A proxy in front of one endpoint, from `with` to the end of its block.

    The first rule that takes a request decides about it, in the order of their injection; a request that no rule takes
    is passed on unchanged. The same seed and the same order of requests give the same faults.
    """

    def __init__(self, upstream: str, *, seed: int = 0) -> None:
        self.endpoint_url = ""
        self.seen: Counter[str] = Counter()
        """Requests received, by operation."""
        self.applied: Counter[str] = Counter()
        """Faults applied, by the name of their class."""
        self._upstream = upstream
        self._random = Random(seed)  # noqa: S311 - repeatable, not secret
        self._rules: tuple[Rule, ...] = ()
        self._changed = Condition()
        self._late: set[asyncio.Task[None]] = set()
        self._started: Future[int] = Future()
        self._thread = Thread(target=self._run, name="fault proxy")
        self._loop: asyncio.AbstractEventLoop
        self._ending: asyncio.Event
        self._released: asyncio.Event
        self._session: aiohttp.ClientSession

    def __enter__(self) -> Self:
        self._thread.start()
        self.endpoint_url = f"http://{_HOST}:{self._started.result(_START_SECONDS)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def inject(
        self, fault: Fault, *, on: str | None = None, rate: float = 1.0, skip: int = 0, times: int | None = None
    ) -> Rule:
        """Apply `fault` to requests of the operation `on`, or of every one.

        Args:
            fault: what to do.
            on: DynamoDB's name of an operation, such as `PutItem`.
            rate: the share of them, drawn at random.
            skip: how many of them to let pass first.
            times: how often at most.
        """
        rule = Rule(fault, on, rate, skip, times)
        self._rules = (*self._rules, rule)
        return rule

    def remove(self, rule: Rule) -> None:
        """Stop applying a rule. What it holds back stays held back."""
        self._rules = tuple(other for other in self._rules if other is not rule)

    @contextmanager
    def failing(self, fault: Fault, *, on: str | None = None) -> Iterator[Rule]:
        """Apply `fault` before all other rules until the block ends."""
        rule = Rule(fault, on, rate=1.0, skip=0, times=None)
        self._rules = (rule, *self._rules)
        try:
            yield rule
        finally:
            self.remove(rule)

    def release(self) -> None:
        """Deliver late requests and end stalls that wait for it, now, and return once that is done."""
        asyncio.run_coroutine_threadsafe(self._release(), self._loop).result()

    def wait_for(self, operation: str, count: int, *, timeout: float = 30.0) -> None:
        """Block until `count` requests of an operation have been received.

        Raises:
            TimeoutError: there were fewer for this many seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.seen[operation] >= count, timeout):
                raise TimeoutError(f"{self.seen[operation]} of {count} {operation} requests after {timeout} s")

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ending, self._released = asyncio.Event(), asyncio.Event()
        application = web.Application(client_max_size=_LARGEST_REQUEST)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        async with aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        ) as session:
            self._session = session
            await runner.setup()
            site = web.TCPSite(runner, _HOST, 0)
            await site.start()
            self._started.set_result(runner.addresses[0][1])
            await self._ending.wait()
            for task in self._late:
                task.cancel()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        rule = next((rule for rule in self._rules if rule.takes(operation, self._random)), None)
        with self._changed:
            self.seen[operation] += 1
            if rule is not None:
                self.applied[type(rule.fault).__name__] += 1
            self._changed.notify_all()
        exchange = Exchange(
            operation=operation,
            body=body,
            request=request,
            forward=lambda body: self._forward(request, body),
            in_background=self._deliver_late,
            released=self._released,
            random=self._random,
        )
        try:
            if rule is not None:
                return await rule.fault.apply(exchange)
            return exchange.answer(await self._forward(request, body))
        except aiohttp.ClientError:
            return exchange.cut()

    async def _forward(self, request: web.Request, body: bytes) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_FORWARDED}
        url = f"{self._upstream}{request.path_qs}"
        async with self._session.request(request.method, url, headers=headers, data=body) as response:
            passed = {name: value for name, value in response.headers.items() if name.lower() not in _NOT_FORWARDED}
            return Answer(response.status, passed, await response.read())

    def _deliver_late(self, delivery: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(delivery)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _release(self) -> None:
        self._released.set()
        try:
            await asyncio.gather(*self._late)
        finally:
            self._released.clear()
