"""What these tests build a client from: a session that resolves nothing, answers as bytes, and a clock that jumps."""

from __future__ import annotations

import asyncio
import random
import selectors
import zlib
from typing import TYPE_CHECKING, Any

import orjson
from botocore.credentials import Credentials

from migrator.dynamodb import Backoff, Response, Session
from migrator.dynamodb.session import aws_session

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import TypeVar

    Result = TypeVar("Result")

ENDPOINT = "https://dynamodb.eu-west-1.amazonaws.com"


def session(endpoint_url: str = ENDPOINT) -> Session:
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    return Session("eu-west-1", endpoint_url, credentials, aws_session())


def seeded() -> Backoff:
    """Delays that are the same in every run."""
    return Backoff(random=random.Random(1))  # noqa: S311 - nothing here is a secret


def answer(content: Mapping[str, Any], status: int = 200) -> Response:
    body = orjson.dumps(content)
    return Response(status, {"x-amz-crc32": str(zlib.crc32(body))}, body)


def error_answer(code: str, message: str = "in other words each year", status: int = 400) -> Response:
    return answer({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}, status)


class _JumpingSelector(selectors.DefaultSelector):
    """Where there is nothing to do until a timer, the timer's moment is now. All else takes a microsecond a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.now += timeout or 1e-6
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_at_once(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end without waiting for any timer; the loop's `time()` tells how long it would have taken."""
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        return runner.run(work)
