"""What verifications do and find, counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from migrator.cli.metrics.families import Families
from migrator.engines.verify import Verdict
from migrator.errors import LockedError, MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from migrator.engines.verify import Read, Report

UNJUDGED = "unjudged"


class VerifyMetrics(Families):
    """The metrics of verifications, which one process may make one after another."""

    def __init__(self, models: Iterable[str]) -> None:
        super().__init__("verify", models, in_turn=True)
        self.rows = self.counter("rows_read", "Rows that were read.")
        self.items = self.counter("items_read", "Items that were read.")
        self.units = self.counter("read_units", "Read units that were consumed.")
        self.dollars = self.counter("cost_dollars", "What they cost on demand, in US dollars.")
        self.runs = self.counter("runs", "Verifications, by how they ended.", "outcome")
        self.differences = self.gauge("differences", "What the latest one has found, by verdict.", "verdict")
        self.seconds = self.gauge("duration_seconds", "How long the latest one took.")
        self.latest = self.gauge("last_run_timestamp_seconds", "When the latest one ended, whatever it has found.")
        self.equal = self.gauge(
            "last_equal_timestamp_seconds", "When the latest one ended that found both sides equal."
        )
        for model in self.models:
            for outcome in ("equal", "different", "failed"):
                self.runs.labels(model, outcome)

    def reading(self, model: str, listener: Callable[[Read], None]) -> Callable[[Read], None]:
        """A listener of one verification that counts what it hears, and passes it on."""
        counted_rows = counted_items = 0

        def told(at: Read) -> None:
            nonlocal counted_rows, counted_items
            self.rows.labels(model).inc(at.rows - counted_rows)
            self.items.labels(model).inc(at.items - counted_items)
            counted_rows, counted_items = at.rows, at.items
            self.health.goes_on(model)
            listener(at)

        return told

    def ended(self, model: str, report: Report) -> None:
        """A verification has come to its verdict."""
        self.health.goes_on(model)
        self.runs.labels(model, "equal" if report.clean else "different").inc()
        for verdict in Verdict:
            self.differences.labels(model, verdict.value).set(report.count(verdict))
        self.differences.labels(model, UNJUDGED).set(report.unjudged)
        self.units.labels(model).inc(report.cost.units or report.read_units)
        self.dollars.labels(model).inc(report.cost.dollars)
        self.seconds.labels(model).set(report.seconds)
        now = time.time()
        self.latest.labels(model).set(now)
        if report.clean:
            self.equal.labels(model).set(now)

    def attempted(self, attempt: Callable[[], bool]) -> bool:
        """Make an attempt to verify all models, and count it where it fails; return what it returns.

        Raises:
            LockedError: somebody else verifies, which is no failure.
            MigratorError: it failed.
        """
        try:
            return attempt()
        except LockedError:
            raise
        except (MigratorError, ExceptionGroup):
            for model in self.models:
                self.health.fails(model)
                self.runs.labels(model, "failed").inc()
            raise
