"""What carrying back does, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.cli.metrics.families import Families, Tally

if TYPE_CHECKING:
    from migrator.engines import reverse
    from migrator.errors import MigratorError


class ReverseMetrics(Families):
    """The metrics of what this process's relays carry back, beside those of what they carry over."""

    def __init__(self, relays: Families) -> None:
        super().__init__("reverse", relays.models, in_turn=False, beside=relays)
        self.written = self.counter("rows_written", "Rows written as their items say.")
        self.deleted = self.counter("rows_deleted", "Rows deleted as their items were.")
        self.refused = self.counter("refused", "Times that the source has not taken a change back.")
        self.failures = self.counter("failures", "Times that a store failed and was tried again.")
        self.waiting = self.gauge("waiting_refused", "Changes that the source refuses, and that are tried again.")
        self.lag = self.gauge("lag_seconds", "Age of the newest change read where more may follow; 0 where none does.")


class CountingReverse:
    """A listener of one model's way back that counts what it hears, and passes it on."""

    def __init__(self, model: str, metrics: ReverseMetrics, listener: reverse.Listener) -> None:
        self._metrics = metrics
        self._listener = listener
        self._model = model
        self._tally = Tally(model, metrics.written, metrics.deleted, metrics.refused)

    def progressed(self, outcome: reverse.Outcome) -> None:
        """Some changes were carried back."""
        self._tally.count(outcome.applied, outcome.deleted, outcome.refused)
        self._metrics.health.goes_on(self._model)
        self._listener.progressed(outcome)

    def looked(self, outcome: reverse.Outcome) -> None:
        """So much is left."""
        self._metrics.waiting.labels(self._model).set(outcome.aside)
        self._metrics.lag.labels(self._model).set(outcome.lag)
        # Both stores were asked.
        self._metrics.health.goes_on(self._model)
        self._listener.looked(outcome)

    def refused(self, entity: str, reason: str) -> None:
        """The source does not take a change back."""
        self._listener.refused(entity, reason)

    def warned(self, sentence: str) -> None:
        """Something to see to."""
        self._listener.warned(sentence)

    def failed(self, error: MigratorError, pause: float) -> None:
        """A store failed."""
        self._metrics.failures.labels(self._model).inc()
        self._metrics.health.fails(self._model)
        self._listener.failed(error, pause)
