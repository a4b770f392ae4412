"""Whether DynamoDB is to be asked at all: a circuit breaker and a bound on what is under way, for many threads."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from migrator.app.breaker import Breaker

if TYPE_CHECKING:
    from migrator.app.limits import ReadLimits
    from migrator.app.read_counts import Cause


class Gate:
    """Lets reads of DynamoDB through. Whoever is let through says afterwards how it went, once.

    Args:
        limits: how many at once, and when it closes for how long.
    """

    def __init__(self, limits: ReadLimits) -> None:
        self._lock = Lock()
        self._breaker = Breaker(limits.failures, limits.rest)
        self._most = limits.at_once
        self._under_way = 0

    def refuses(self, *, counted: bool) -> Cause | None:
        """Why a read is not let through; None: it is. `counted`: it holds up a thread until it is over."""
        with self._lock:
            if counted and self._under_way >= self._most:
                return "busy"
            if not self._breaker.lets_through():
                return "resting"
            self._under_way += counted
            return None

    def went(self, well: bool | None) -> None:  # noqa: FBT001 - three outcomes
        """How a read went; None: it was ended before that could be seen."""
        with self._lock:
            if well is None:
                self._breaker.withdrawn()
            elif well:
                self._breaker.succeeded()
            else:
                self._breaker.failed()

    def over(self) -> None:
        """A read that was counted holds up no thread any more."""
        with self._lock:
            self._under_way -= 1
