"""Trying again: how long to wait between attempts, and when to stop."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Final

_DOUBLINGS: Final = 64


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays with full jitter: each is drawn between 0 and a ceiling that doubles up to `cap`.

    `base` and `cap` are seconds. Full jitter spreads clients that were refused at one moment over the whole interval.
    """

    base: float = 0.05
    cap: float = 10.0
    random: random.Random = field(default_factory=random.Random)

    def delay(self, attempts: int) -> float:
        """Seconds to wait after so many attempts, before the next one."""
        # Beyond some attempts the power is larger than any cap, and than a float.
        return self.random.uniform(0, min(self.cap, self.base * 2.0 ** min(attempts - 1, _DOUBLINGS)))


class Patience:
    """The time that attempts at one thing may take. Holds how many were made.

    `started` and `deadline` are moments of the running loop's `time()`; the deadline is the one given, or `seconds`
    from the start.
    """

    __slots__ = ("_backoff", "_now", "attempts", "deadline", "started")

    def __init__(self, backoff: Backoff, seconds: float, deadline: float | None = None) -> None:
        self._now = asyncio.get_running_loop().time
        self.started = self._now()
        self._backoff = backoff
        self.deadline = self.started + seconds if deadline is None else deadline
        self.attempts = 1

    @property
    def seconds(self) -> float:
        """How long attempts have been made."""
        return self._now() - self.started

    async def pause(self) -> bool:
        """Waits before the next attempt; returns False, at once, where its turn would come after the deadline."""
        delay = self._backoff.delay(self.attempts)
        if self._now() + delay >= self.deadline:
            return False
        await asyncio.sleep(delay)
        self.attempts += 1
        return True
