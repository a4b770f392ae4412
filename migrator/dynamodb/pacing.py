"""Keeping to a number of capacity units per second."""

from __future__ import annotations

import asyncio
from typing import Final

from aiolimiter import AsyncLimiter

# The bucket holds this much of a second's units: small, so that the first second already keeps the limit.
_BUCKET_SECONDS: Final = 0.1


class Pace:
    """A limit of capacity units per second over all that share it. Holds the bucket and what is owed to it.

    What a request consumes is known only afterwards: `reserve` takes an estimate, and `settle` charges or returns the
    difference, which the next reservations pay or profit from. So the limit holds over time even where the estimates
    are off.

    Args:
        max_units: units per second; None for no limit.
    """

    def __init__(self, max_units: float | None) -> None:
        if max_units is not None and max_units <= 0:
            raise ValueError(f"a pace needs a positive number of units per second, not {max_units}")
        self.max_units = max_units
        self._limiter = None if max_units is None else AsyncLimiter(max_units * _BUCKET_SECONDS, _BUCKET_SECONDS)
        self._turn = asyncio.Lock()
        self._owed = 0.0

    async def reserve(self, units: float) -> None:
        """Waits until this many units, and those still owed, may be consumed."""
        if self._limiter is None:
            return
        # One at a time: the limiter serves small amounts first, which would starve a large one.
        async with self._turn:
            units += self._owed
            self._owed = min(units, 0.0)
            while units > 0:
                part = min(units, self._limiter.max_rate)
                await self._limiter.acquire(part)
                units -= part

    def settle(self, reserved: float, consumed: float) -> None:
        """Accounts for what a request has consumed in place of what was reserved for it."""
        if self._limiter is not None:
            self._owed += consumed - reserved


UNLIMITED: Final = Pace(None)
"""The pace that never waits."""
