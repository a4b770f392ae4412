"""What a copy does, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.cli.metrics.families import Families
from migrator.postgres.checkpoints import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from migrator.engines.copy import Path, Settled
    from migrator.engines.copy.progress import Listener


class CopyMetrics(Families):
    """The metrics of a copy, by source table."""

    def __init__(self, models: Iterable[str]) -> None:
        super().__init__("copy", models, in_turn=True)
        self.rows = self.counter("rows", "Rows that were settled, by this process.", "table")
        self.items = self.counter("items", "Items that rows became.", "table")
        self.expired = self.counter("expired_rows", "Rows left out as past their TTL.", "table")
        self.set_aside = self.counter("set_aside_rows", "Rows that were set aside with a reason.", "table")
        self.expected = self.gauge("expected_rows", "Rows of the source table, about.", "table")
        self.settled = self.gauge("settled_rows", "Rows that were settled, by earlier runs too.", "table")


class CountingCopy:
    """A listener of one model's copy that counts what it hears, and passes it on."""

    def __init__(self, model: str, metrics: CopyMetrics, listener: Listener) -> None:
        self._metrics = metrics
        self._listener = listener
        self._model = model

    def chosen(self, paths: Mapping[str, Path]) -> None:
        """How each table is copied."""
        self._listener.chosen(paths)

    def began(self, estimates: Mapping[str, int], settled: Mapping[str, Counts]) -> None:
        """The copy begins, with what an earlier run has settled."""
        metrics = self._metrics
        for source, rows in estimates.items():
            metrics.expected.labels(self._model, source).set(rows)
            metrics.settled.labels(self._model, source).set(settled.get(source, Counts()).rows)
            for counter in (metrics.rows, metrics.items, metrics.expired, metrics.set_aside):
                counter.labels(self._model, source)
        metrics.health.goes_on(self._model)
        self._listener.began(estimates, settled)

    def settled(self, page: Settled) -> None:
        """A page of a table is in the target."""
        metrics, names, counts = self._metrics, (self._model, page.source), page.counts
        metrics.rows.labels(*names).inc(counts.rows)
        metrics.items.labels(*names).inc(counts.items)
        metrics.expired.labels(*names).inc(counts.expired)
        metrics.set_aside.labels(*names).inc(counts.set_aside)
        metrics.settled.labels(*names).inc(counts.rows)
        self._listener.settled(page)

    def warned(self, sentence: str) -> None:
        """Something that the operator should know."""
        self._listener.warned(sentence)
