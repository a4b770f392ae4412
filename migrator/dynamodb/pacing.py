"""Keeping to a number of capacity units per second: the operator's, and the one that DynamoDB turns out to take."""

from __future__ import annotations

import asyncio
from typing import Final

from migrator.dynamodb.limit import FoundLimit

# What may be sent at once after a pause, in seconds of the rate: small, so that the first second keeps the limit too.
_BURST_SECONDS: Final = 0.1
# Those who wait are let through together, so many times a second: each wait costs more than its request does.
_TICK_SECONDS: Final = 0.02
# After a throttling nothing is sent for so long, so that DynamoDB's bucket holds a reserve again.
_BREATH_SECONDS: Final = 0.2
_LONGEST_BREATH: Final = 1.0
# DynamoDB's figure for the writes per second of a new on-demand table.
_COLD_TABLE: Final = 4_000.0


class _Bucket:
    """Units per second as a line of moments: `free` is when all units given out so far have flowed in.

    `owed` units were consumed beyond those given out; the next reservation pays them, or profits.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.free = float("-inf")
        self.owed = 0.0

    def begin(self, now: float) -> None:
        """A reservation begins: of what has flowed in unused, only a burst is left."""
        self.free = max(self.free, now - _BURST_SECONDS) + self.owed / self.rate
        self.owed = 0.0

    def moment(self, units: float) -> float:
        """When so many more units will have flowed in."""
        return self.free + units / self.rate


class Pace:
    """The capacity units per second that one table, or part of it, may be made to consume, in one direction.

    Holds what the operator allows and what DynamoDB has turned out to take (`FoundLimit`). What a request consumes is
    known only afterwards: `reserve` takes an estimate, and `settle` charges or returns the difference, which the next
    reservations pay or profit from. So the limit holds over time even where the estimates are off.

    Args:
        max_units: the operator's limit in units per second; None for none.
        start: units per second to begin with, before DynamoDB's limit is known.
    """

    def __init__(self, max_units: float | None = None, *, start: float = _COLD_TABLE) -> None:
        if max_units is not None and max_units <= 0:
            raise ValueError(f"a pace needs a positive number of units per second, not {max_units}")
        self._allowed = None if max_units is None else _Bucket(max_units)
        self._found = FoundLimit(start)
        self._bucket = _Bucket(start)
        self._turn = asyncio.Lock()
        self._largest = 0.0
        self.throttled_at = float("-inf")

    def of_another_table(self) -> Pace:
        """A pace for another table, which shares the operator's limit with this one."""
        other = Pace()
        other._allowed = self._allowed
        return other

    @property
    def rate(self) -> float:
        """Units per second as they are now."""
        return self._found.rate if self._allowed is None else min(self._found.rate, self._allowed.rate)

    async def reserve(self, units: float, deadline: float = float("inf"), *, divisible: bool = False) -> bool:
        """Waits until this many units may be consumed, those before it first.

        Args:
            units: how many are expected.
            deadline: a moment of the running loop's `time()`.
            divisible: whether the request can be made smaller.

        Returns:
            False where nothing was reserved: the deadline has passed, or the request can be made smaller, and should,
            since it would take more than a second's units; the rate may have been cut while it waited its turn.
        """
        now = asyncio.get_running_loop().time()
        alone = not self._turn.locked()
        if alone and self._begin(units, now) <= now < deadline:
            self._take(units, now, waited=False)
            return True
        # One at a time, in order: the rate may change while they queue.
        async with self._turn:
            return await self._wait(units, deadline, divisible=divisible, begun=alone)

    async def _wait(self, units: float, deadline: float, *, divisible: bool, begun: bool) -> bool:
        """The turn of a reservation."""
        time = asyncio.get_running_loop().time
        if divisible and units > self.rate:
            return False
        now = time()
        moment = self._moment(units) if begun else self._begin(units, now)
        # The rate grows only where it, and not the operator's limit, is what holds the work back.
        waited = now < moment <= self._bucket.moment(units)
        while now < min(moment, deadline):
            await asyncio.sleep(min(max(moment - now, _TICK_SECONDS), deadline - now))
            now, moment = time(), self._moment(units)
        if now < deadline:
            self._take(units, now, waited=waited)
        return now < deadline

    def settle(self, reserved: float, consumed: float, refused: float = 0.0) -> None:
        """Accounts for what a request has consumed in place of what was reserved for it.

        Args:
            reserved: as it was given to `reserve`.
            consumed: what DynamoDB has counted.
            refused: how much of what was reserved DynamoDB has refused, unprocessed or throttled.
        """
        if self._allowed is not None:
            self._allowed.owed += consumed - reserved
        # What was refused is not given back: sending more in its place would only be refused too.
        self._bucket.owed += consumed + refused - reserved
        self._found.settled(consumed, refused)

    def throttled(self, sent: float) -> None:
        """DynamoDB has refused, for this limit, what was sent at that moment of the running loop's `time()`."""
        now = asyncio.get_running_loop().time()
        self.throttled_at = now
        if self._found.throttled(sent, now):
            self._bucket.rate = self._found.rate
            # What was owed at the old rate would take longer to pay at the new one.
            self._bucket.free = now + min(max(_BREATH_SECONDS, self._largest / self._found.rate), _LONGEST_BREATH)
            self._largest = 0.0

    def _begin(self, units: float, now: float) -> float:
        self._bucket.begin(now)
        if self._allowed is not None:
            self._allowed.begin(now)
        return self._moment(units)

    def _moment(self, units: float) -> float:
        """When both limits allow for so many more units."""
        moment = self._bucket.moment(units)
        return moment if self._allowed is None else max(moment, self._allowed.moment(units))

    def _take(self, units: float, now: float, *, waited: bool) -> None:
        self._bucket.free = self._bucket.moment(units)
        if self._allowed is not None:
            self._allowed.free = self._allowed.moment(units)
        self._largest = max(self._largest, units)
        self._found.turn(now, waited=waited)
        self._bucket.rate = self._found.rate
