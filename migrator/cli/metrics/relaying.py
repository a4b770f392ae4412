"""What relays do, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.cli.metrics.families import Families, Tally
from migrator.cli.metrics.reversing import CountingReverse, ReverseMetrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.cli.progress import RelayProgress
    from migrator.engines import relay
    from migrator.errors import MigratorError
    from migrator.postgres.pending import Backlog


class RelayMetrics(Families):
    """The metrics of this process's relays."""

    def __init__(self, models: Iterable[str]) -> None:
        super().__init__("relay", models, in_turn=False)
        self.settled = self.counter("settled", "Changes whose items are in order.")
        self.written = self.counter("items_written", "Items and tombstones written.")
        self.set_aside = self.counter("set_aside", "Changes that were set aside with a reason.")
        self.failures = self.counter("failures", "Times that a store failed and was tried again.")
        self.waiting = self.gauge("waiting", "Changes that wait for their turn.")
        self.aside = self.gauge("waiting_set_aside", "Changes that are set aside.")
        self.lag = self.gauge("lag_seconds", "Age of the oldest change that waits; 0 where none does.")
        self.bytes = self.gauge("marks_bytes", "Bytes on the source's disk that waiting changes take, about.")
        self.back = ReverseMetrics(self)


class CountingRelay:
    """A listener of one model's relay that counts what it hears, and passes it on."""

    def __init__(self, model: str, metrics: RelayMetrics, listener: relay.Listener) -> None:
        self._metrics = metrics
        self._listener = listener
        self._model = model
        self._tally = Tally(model, metrics.settled, metrics.written, metrics.set_aside)

    def progressed(self, outcome: relay.Outcome) -> None:
        """A batch was settled."""
        self._tally.count(outcome.settled, outcome.written, outcome.set_aside)
        self._metrics.health.goes_on(self._model)
        self._listener.progressed(outcome)

    def looked(self, outcome: relay.Outcome, backlog: Backlog) -> None:
        """So much waits."""
        metrics = self._metrics
        metrics.waiting.labels(self._model).set(backlog.waiting)
        metrics.aside.labels(self._model).set(backlog.set_aside)
        metrics.lag.labels(self._model).set(backlog.lag)
        metrics.bytes.labels(self._model).set(backlog.live_bytes)
        # The source alone was asked; only where nothing waits does that say that all goes well.
        if backlog.waiting:
            metrics.health.began(self._model)
        else:
            metrics.health.goes_on(self._model)
        self._listener.looked(outcome, backlog)

    def set_aside(self, source: str, reason: str) -> None:
        """A mark cannot be reconciled."""
        self._listener.set_aside(source, reason)

    def refused(self, error: MigratorError) -> None:
        """A table is not followed any more."""
        self._listener.refused(error)

    def taken_up(self, source: str) -> None:
        """A table is followed again."""
        self._listener.taken_up(source)

    def warned(self, sentence: str) -> None:
        """Something to see to."""
        self._listener.warned(sentence)

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed."""
        self._metrics.failures.labels(self._model).inc()
        self._metrics.health.fails(self._model)
        self._listener.failed(error, pause)


class Told:
    """Who is told of one model's changes, whichever way they go: counters, and the display of the command."""

    def __init__(self, model: str, metrics: RelayMetrics, progress: RelayProgress) -> None:
        self._model = model
        self._metrics = metrics
        self._progress = progress

    def over(self) -> CountingRelay:
        """Who is told of changes that are carried over."""
        return CountingRelay(self._model, self._metrics, self._progress)

    def back(self) -> CountingReverse:
        """Who is told of changes that are carried back."""
        return CountingReverse(self._model, self._metrics.back, self._progress.back)
