"""The limit that nobody has stated: how many units per second a table, an index or a key takes, found by using it.

DynamoDB counts units with token buckets, so two facts are exact: a request is throttled where the bucket is empty, and
between two moments at which it was empty it has given out just what flowed in. The units accepted from one throttling
to the next, over the seconds between, *are* the limit, whatever was offered and however much burst there was. So a
throttling sets the rate to a little under that figure at once, where halving and climbing again would leave a quarter
unused; the rate is held, then raised along a cubic, slow near the limit and fast beyond it, in case the limit has
grown. A limit that is met again and again at the same figure is tried ever more rarely.
"""

from __future__ import annotations

from typing import Final

_UNDER: Final = 0.98
"""The share of the limit that is used while it is held: the rest settles what was throttled, and fills the bucket."""
_DOUBLING_SECONDS: Final = 0.5
_GAP_SECONDS: Final = 1.0
_LEAST_SECONDS: Final = 1.0
_LEAST_TURNS: Final = 16
_DEEPEST_CUT: Final = 0.1
_FIRST_HOLD: Final = 1
_LONGEST_HOLD: Final = 32
_HOLD_SECONDS: Final = 1.0
_HOLD_TURNS: Final = 16
_SAME: Final = 0.15
_BISECTIONS: Final = 20
_STEPS: Final = 50
_GROWN: Final = 1.5
_DRIFT: Final = 1.02
_SIMILAR: Final = 2.5
_FUTILE_CUTS: Final = 3
_FASTEST: Final = 1e9


class FoundLimit:
    """A rate that follows what is taken. Pure: the time is given, in seconds of any clock that does not go back.

    Args:
        rate: units per second to begin with. Until something is throttled, it doubles every half second in
            which it is used up.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.limit: float | None = None
        self._since = 0.0
        self._last = 0.0
        self._begun = False
        self._turns = 0
        self._seconds = 0.0
        self._accepted = 0.0
        self._refused = 0.0
        self._hold = _FIRST_HOLD
        self._held_seconds = 0.0
        self._held_turns = 0
        self._climbed = 0.0
        self._drew = self._keeps = False
        self._refused_share = 0.0
        self._futile = 0

    def turn(self, now: float, *, waited: bool) -> None:
        """A request takes its turn; `waited`: only the rate held it back, so the rate is what bounds the work."""
        if not self._begun:
            self._begun, self._since, self._last = True, now, now
        elapsed = now - self._last
        self._last = now
        # A longer gap says that there was nothing to send, not what could have been sent.
        self._seconds += elapsed if waited or elapsed < _GAP_SECONDS else _GAP_SECONDS
        self._turns += 1
        if waited:
            self._advance(elapsed)

    def settled(self, accepted: float, refused: float) -> None:
        """A request was answered: so many units of it were accepted and refused."""
        self._accepted += accepted
        self._refused += refused

    def throttled(self, sent: float, now: float) -> bool:
        """Something sent at that time was refused for this limit; returns whether the rate was cut for it.

        One cut answers all that was under way when it was made, and a cut needs a while to be measured over.
        """
        if sent < self._since or now - self._since < _LEAST_SECONDS or self._turns < _LEAST_TURNS:
            return False
        offered = self._accepted + self._refused
        share = self._refused / offered if offered else 1.0
        futile = self._is_futile(share)
        if not futile:
            self._cut(max(min(self._measured(), self.rate), _DEEPEST_CUT * self.rate))
        self._refused_share = share
        self._since, self._turns = now, 0
        self._seconds = self._accepted = self._refused = 0.0
        return not futile

    def _measured(self) -> float:
        """The limit as this throttling shows it.

        Where the bucket has run over since the last one, what ran over is missing from what was accepted. But then the
        bucket was full while the rate climbed to the limit, and held a second's units at least, all but a request of
        which have been drawn since: that tells the limit too. A bucket that keeps more makes this figure too high,
        which shows in a throttling during the hold after it; such a bucket does not run over.
        """
        average = self._accepted / self._seconds
        if self.limit is None or not self._climbed:
            self._keeps = self._keeps or (self._drew and self._holds)
            self._drew = False
            return average
        drawn = self._limit_drawn(average)
        if self._keeps and drawn < _GROWN * average:
            # A little more each time, so that one wrong conclusion does not stay for ever.
            return max(average, min(_DRIFT * self.limit, drawn))
        self._drew = True
        return drawn

    def _limit_drawn(self, at_least: float) -> float:
        """The limit at which the climb has emptied a bucket that was full and holds a second's units."""
        low, high = at_least, self.rate
        request = (self._accepted + self._refused) / self._turns
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._drawn(middle) > middle - request else (low, middle)
        return low

    def _drawn(self, limit: float) -> float:
        """Units that the climb has drawn from a bucket into which so many a second flow."""
        steps = [(step + 0.5) / _STEPS * self._climbed for step in range(_STEPS)]
        return sum(max(0.0, self._climb(seconds) - limit) for seconds in steps) / _STEPS * self._climbed

    def _climb(self, seconds: float) -> float:
        """The rate so long after the end of a hold."""
        return _UNDER * (self.limit or 0.0) * (1 + 0.01 * seconds + (seconds / 20) ** 3)

    def _cut(self, limit: float) -> None:
        if self.limit is None or abs(limit / self.limit - 1) > _SAME:
            self._hold = _FIRST_HOLD
        elif not self._holds:
            self._hold = min(2 * self._hold, _LONGEST_HOLD)
        self.limit = limit
        self.rate = _UNDER * limit
        self._held_seconds = self._climbed = 0.0
        self._held_turns = 0

    def _is_futile(self, share: float) -> bool:
        """Whether cutting has shown not to help: as much is refused below the limit as was before, again and again.

        Then the refusals have a cause that no rate cures (a failing replica, a throttled neighbour), and following them
        would bring the work to a stand.
        """
        similar = share < 0.5 and share <= _SIMILAR * self._refused_share and _SIMILAR * share >= self._refused_share  # noqa: PLR2004 - a table refuses more than half only at its limit
        self._futile = self._futile + 1 if similar and (self._holds or self._futile >= _FUTILE_CUTS) else 0
        return self._futile >= _FUTILE_CUTS

    @property
    def _holds(self) -> bool:
        """Whether the rate is still to be kept as it is."""
        return self.limit is not None and (
            self._held_seconds < self._hold * _HOLD_SECONDS or self._held_turns < self._hold * _HOLD_TURNS
        )

    def _advance(self, elapsed: float) -> None:
        """Time passes in which the rate is used up."""
        if self.limit is None:
            if not self._refused:
                self.rate = min(self.rate * 2 ** (elapsed / _DOUBLING_SECONDS), _FASTEST)
        elif self._holds:
            self._held_seconds += elapsed
            self._held_turns += 1
        else:
            self._climbed += elapsed
            self.rate = min(self._climb(self._climbed), _FASTEST)
