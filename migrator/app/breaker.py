"""A circuit breaker: after failures in a row, nothing is tried for a while; then one attempt shows whether to go on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Breaker:
    """Open after `failures` in a row, for `rest` seconds; then half-open: one attempt at a time is let through.

    `resting` may be asked by any thread, all else is for the thread that makes the attempts.
    """

    def __init__(self, failures: int, rest: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most = failures
        self._rest = rest
        self._now = now
        self._failures = 0
        self._until = 0.0
        self._trying = False

    @property
    def resting(self) -> bool:
        """Whether nothing is to be tried at all."""
        return self._failures >= self._most and self._now() < self._until

    def lets_through(self) -> bool:
        """Whether an attempt may be made. Whoever makes it says how it went."""
        if self._failures < self._most:
            return True
        if self.resting or self._trying:
            return False
        self._trying = True
        return True

    def withdrawn(self) -> None:
        """An attempt was ended before it could show anything; another one may be made in its place."""
        self._trying = False

    def succeeded(self) -> bool:
        """An attempt went well; returns whether that closes the breaker."""
        closes = self._failures >= self._most
        self._failures, self._trying = 0, False
        return closes

    def failed(self) -> bool:
        """An attempt failed; returns whether that opens the breaker."""
        self._failures += 1
        self._trying = False
        if self._failures < self._most:
            return False
        self._until = self._now() + self._rest
        return self._failures == self._most
