"""What verifications do and find, counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from migrator.cli.metrics.families import Families
from migrator.engines.verify import Read, Verdict
from migrator.errors import LockedError, MigratorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from migrator.engines.verify import Report

UNJUDGED = "unjudged"


class VerifyMetrics(Families):
    """The metrics of verifications, which one process may make one after another. Holds what is counted already."""

    def __init__(self, models: Iterable[str]) -> None:
        super().__init__("verify", models, in_turn=True)
        self.rows = self.counter("rows_read", "Rows that were read.")
        self.items = self.counter("items_read", "Items that were read.")
        self.units = self.counter("read_units", "Read units that were consumed.")
        self.dollars = self.counter("cost_dollars", "What they cost on demand, in US dollars.")
        self.runs = self.counter("runs", "Verifications, by how they ended.", "outcome")
        self.differences = self.gauge("differences", "What the latest one has found, by verdict.", "verdict")
        self.queries = self.gauge("differing_queries", "Queries of access patterns that answered otherwise than SQL.")
        self.seconds = self.gauge("duration_seconds", "How long the latest one took.")
        self.latest = self.gauge("last_run_timestamp_seconds", "When the latest one ended, whatever it has found.")
        self.equal = self.gauge(
            "last_equal_timestamp_seconds", "When the latest one ended that found both sides equal."
        )
        self._counted = dict.fromkeys(self.models, Read(0, 0))
        for model in self.models:
            for outcome in ("equal", "different", "failed"):
                self.runs.labels(model, outcome)

    def reading(self, model: str, listener: Callable[[Read], None]) -> Callable[[Read], None]:
        """A listener of one verification that counts what it hears, and passes it on."""
        self._counted[model] = Read(0, 0)

        def told(at: Read) -> None:
            self._count(model, at)
            self.health.goes_on(model)
            listener(at)

        return told

    def ended(self, model: str, report: Report) -> None:
        """A verification has come to its verdict."""
        self.health.goes_on(model)
        self._count(model, Read(sum(report.rows.values()), report.items_scanned))
        self.runs.labels(model, "equal" if report.clean else "different").inc()
        for verdict in Verdict:
            self.differences.labels(model, verdict.value).set(report.count(verdict))
        self.differences.labels(model, UNJUDGED).set(report.unjudged)
        self.queries.labels(model).set(sum(parity.differs for parity in report.parities))
        self.units.labels(model).inc(report.cost.units or report.read_units)
        self.dollars.labels(model).inc(report.cost.dollars)
        self.seconds.labels(model).set(report.seconds)
        now = time.time()
        self.latest.labels(model).set(now)
        if report.clean:
            self.equal.labels(model).set(now)

    def _count(self, model: str, at: Read) -> None:
        more = at - self._counted[model]
        self.rows.labels(model).inc(max(more.rows, 0))
        self.items.labels(model).inc(max(more.items, 0))
        self._counted[model] = at

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
