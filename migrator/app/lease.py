"""What PostgreSQL has said of phases and marks, and for how long it is taken to hold.

Moments are those of the monotonic clock of this process: no clock that jumps lengthens a lease.
"""

from __future__ import annotations

import math
import time
from collections import deque
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from migrator.postgres.phases import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.postgres.pending import Horizon

_REMEMBERED: Final = 1_000
_NOWHERE: Final = Standing()
_COMPLETE: Final = Standing("complete")


class _Known(NamedTuple):
    """What was said last, when that was asked, and until when it holds."""

    standings: Mapping[str, Standing]
    asked_at: float
    until: float


class Lease:
    """Renewed by one thread, read by any.

    Args:
        seconds: how long an answer is taken to hold, counted from before the question.
        completed: entities that are known to be in `complete`. That is the last phase: it holds for good.
    """

    def __init__(self, seconds: float, completed: Iterable[str] = ()) -> None:
        self._seconds = seconds
        self._known = _Known(dict.fromkeys(completed, _COMPLETE), 0.0, 0.0)
        self._horizons: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._lock = Lock()
        self._waiting: list[tuple[float, Future[bool]]] = []
        self.completed = frozenset(self._known.standings)
        """The entities that are known to be in `complete`."""
        self.settled = 0.0
        """All that this process has seen committed before this moment is in DynamoDB."""

    def renew(self, asked_at: float, standings: Mapping[str, Standing], horizon: Horizon | None) -> None:
        """Takes what PostgreSQL has said to a question of this moment; `horizon` None: it was not asked of marks."""
        if horizon is not None:
            self._settle(asked_at, horizon)
        self.completed |= {name for name, each in standings.items() if each.phase == "complete"}
        with self._lock:
            known = {**standings, **dict.fromkeys(self.completed, _COMPLETE)}
            self._known = _Known(known, asked_at, asked_at + self._seconds)
        self._tell(asked_at, told=True)

    def _settle(self, asked_at: float, horizon: Horizon) -> None:
        self._horizons.append((asked_at, horizon.last))
        # Marks of what was committed before a question have ids up to the last that it saw given.
        while self._horizons and (horizon.oldest is None or self._horizons[0][1] < horizon.oldest):
            self.settled = self._horizons.popleft()[0]

    def not_renewed(self, asked_at: float) -> None:
        """PostgreSQL has not answered a question that was asked at this moment."""
        self._tell(asked_at, told=False)

    def _tell(self, asked_at: float, *, told: bool) -> None:
        """Tells those who have waited since before the question."""
        with self._lock:
            waited = [future for moment, future in self._waiting if moment < asked_at]
            self._waiting = [each for each in self._waiting if each[0] >= asked_at]
        for future in waited:
            if future.set_running_or_notify_cancel():
                future.set_result(told)

    def told_after(self, moment: float) -> Future[bool]:
        """What is resolved by what becomes of a question to PostgreSQL after this moment: whether it was answered."""
        future: Future[bool] = Future()
        with self._lock:
            if self._known.asked_at > moment:
                future.set_result(True)
            else:
                self._waiting = [(at, each) for at, each in self._waiting if not each.cancelled()]
                self._waiting.append((moment, future))
        return future

    @property
    def was_told(self) -> bool:
        """Whether anything is known at all, be it of old."""
        return bool(self._known.until)

    @property
    def holds(self) -> bool:
        """Whether what is known may be relied on."""
        return time.monotonic() < self._known.until

    def standing(self, entity: str) -> Standing:
        """Where an entity is, or was when that was last known."""
        return self._known.standings.get(entity, _NOWHERE)

    def until(self, entities: Iterable[str]) -> float:
        """Until when what is known of these entities holds."""
        return math.inf if self.completed.issuperset(entities) else self._known.until
