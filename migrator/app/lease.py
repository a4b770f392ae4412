"""What PostgreSQL has said of phases and marks, and for how long it is taken to hold.

Moments are those of the monotonic clock of this process: no clock that jumps lengthens a lease.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from migrator.postgres.phases import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.postgres.pending import Horizon

_REMEMBERED: Final = 1_000
_NOWHERE: Final = Standing()


class Lease:
    """Renewed by one thread, read by any.

    Args:
        seconds: how long an answer is taken to hold, counted from before the question.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._standings: Mapping[str, Standing] = {}
        self._until = 0.0
        self._horizons: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self.settled = 0.0
        """All that this process has seen committed before this moment is in DynamoDB."""

    def renew(self, asked_at: float, standings: Mapping[str, Standing], horizon: Horizon) -> None:
        """Takes what PostgreSQL has said to a question that was asked at this moment."""
        self._horizons.append((asked_at, horizon.last))
        # Marks of what was committed before a question have ids up to the last that it saw given.
        while self._horizons and (horizon.oldest is None or self._horizons[0][1] < horizon.oldest):
            self.settled = self._horizons.popleft()[0]
        self._standings = standings
        self._until = asked_at + self._seconds

    @property
    def holds(self) -> bool:
        """Whether what is known may be relied on."""
        return time.monotonic() < self._until

    def standing(self, entity: str) -> Standing:
        """Where an entity is, or was when that was last known."""
        return self._standings.get(entity, _NOWHERE)
