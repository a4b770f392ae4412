"""The limit that nobody has stated: how many units per second a table, an index or a key takes, found by using it.

DynamoDB counts units with token buckets, so two facts are exact: a request is throttled where the bucket is empty, and
between two moments at which it was empty it has given out just what flowed in. The units accepted from one throttling
to the next, over the seconds between, *are* the limit, whatever was offered and however much burst there was. So a
throttling sets the rate to a little under that figure at once, where halving and climbing again would leave a quarter
unused; the rate is held, then raised along a cubic, slow near the limit and fast beyond it, in case the limit has
grown. A limit that is met again and again at the same figure is tried ever more rarely.

A rate that is held just under the limit is refused nothing. Where cut after cut is, the refusals have a cause that no
rate cures (a failing replica, a throttled neighbour), and following them would bring the work to a stand: such a share
of refusals is borne (`_Blame`).
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
_FUTILE_CUTS: Final = 4
_LEAST_DECLINE: Final = 0.9
_BORNE_TURNS: Final = 128
_BORNE: Final = 2.5
_BORNE_AT_LEAST: Final = 0.03
_FASTEST: Final = 1e9


class _Blame:
    """Whether what is refused has the rate as its cause: then a cut ends it.

    Holds the cuts that did not: how many in a row, the rate before the first of them, and what they saw.
    """

    def __init__(self) -> None:
        self.borne = 0.0
        self.rate = 0.0
        self._cuts = 0
        self._accepted = 0.0
        self._refused = 0.0

    def cut(self, rate: float, accepted: float, refused: float, *, under: bool) -> bool:
        """A cut is about to be made at this rate; returns whether it would be of no use, as those before it were.

        `under`: the rate was under the limit as it was measured last, where nothing should have been refused.
        """
        self._cuts = self._cuts + 1 if under and refused < accepted else max(0, self._cuts - 1)
        if not self._cuts:
            self.rate = rate
            self._accepted = self._refused = 0.0
            return False
        self._accepted += accepted
        self._refused += refused
        if self._cuts < _FUTILE_CUTS or rate > _LEAST_DECLINE * self.rate:
            return False
        self.borne = self._refused / (self._accepted + self._refused)
        self._cuts = 0
        return True

    def bears(self, accepted: float, refused: float) -> bool:
        """Whether no more is refused than was when cuts were of no use."""
        return refused <= max(_BORNE * self.borne, _BORNE_AT_LEAST) * (accepted + refused)


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
        self._blame = _Blame()

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
        if self._blame.borne and self._turns < _BORNE_TURNS:
            return False
        cut = not self._bears()
        if cut:
            self._cut(max(min(self._measured(), self.rate), _DEEPEST_CUT * self.rate))
        self._since, self._turns = now, 0
        self._seconds = self._accepted = self._refused = 0.0
        return cut

    def _bears(self) -> bool:
        """Whether what was refused is to be borne, for the present and with a rate that cuts have not helped."""
        blame = self._blame
        if blame.borne:
            if blame.bears(self._accepted, self._refused):
                return True
            blame.borne = 0.0
        if not blame.cut(self.rate, self._accepted, self._refused, under=self.rate < (self.limit or 0.0)):
            return False
        self.limit = self.rate = blame.rate
        self._held_seconds, self._held_turns = self._hold * _HOLD_SECONDS, self._hold * _HOLD_TURNS
        self._climbed = 0.0
        return True

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
