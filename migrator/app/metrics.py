"""The counts of mirror and reads in an application's own Prometheus registry.

`migrator.app` does not import this module, nor prometheus_client with it: an application that has metrics imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from migrator.app.counts import Reason
from migrator.app.read_counts import Cause, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

    from migrator.app.router import Router
    from migrator.app.writer import DualWriter

_COUNTERS: Final = (
    ("touched_rows", "Rows that were committed while the mirror was on.", "touched"),
    ("settled", "Changes whose items are in order.", "mirrored"),
    ("set_aside", "Changes that were set aside with a reason.", "set_aside"),
    ("failures", "Batches that failed.", "failures"),
    ("late_commits", "Commits that returned at the deadline, before their rows were mirrored.", "late"),
)


def register(*writers: DualWriter, registry: CollectorRegistry = REGISTRY) -> None:
    """Adds the counts of these writers, each of another model, to a registry; they are read when it is asked.

    Raises:
        ValueError: the registry has them already, as prometheus_client says it.
    """
    registry.register(_Counts(writers))


def register_reads(*routers: Router, registry: CollectorRegistry = REGISTRY) -> None:
    """As `register`, for the counts of read routers."""
    registry.register(_ReadCounts(routers))


class _Counts(Collector):
    """Reads what writers have counted."""

    def __init__(self, writers: tuple[DualWriter, ...]) -> None:
        self._writers = writers

    def collect(self) -> Iterator[CounterMetricFamily]:
        """A family for each figure, with a sample for each model."""
        counts = {writer.model.name: writer.counts for writer in self._writers}
        for name, words, figure in _COUNTERS:
            family = CounterMetricFamily(f"migrator_adapter_{name}", words, labels=["model"])
            for model, counted in counts.items():
                family.add_metric([model], getattr(counted, figure))
            yield family
        left = CounterMetricFamily(
            "migrator_adapter_left", "Rows left to relays, by reason.", labels=["model", "reason"]
        )
        for model, counted in counts.items():
            for reason in get_args(Reason):
                left.add_metric([model, reason], counted.left[reason])
        yield left


class _ReadCounts(Collector):
    """Reads what routers have counted."""

    def __init__(self, routers: tuple[Router, ...]) -> None:
        self._routers = routers

    def collect(self) -> Iterator[CounterMetricFamily]:
        """A family for each figure, with samples for each access pattern that was asked."""
        dynamodb = CounterMetricFamily(
            "migrator_reads_dynamodb", "Reads that DynamoDB has answered.", labels=["model", "pattern"]
        )
        postgres = CounterMetricFamily(
            "migrator_reads_postgres",
            "Reads that PostgreSQL was asked, by cause.",
            labels=["model", "pattern", "cause"],
        )
        sampled = CounterMetricFamily(
            "migrator_reads_sampled",
            "Reads that were repeated in both stores, by what came of it.",
            labels=["model", "pattern", "verdict"],
        )
        for router in self._routers:
            model = router.model.name
            for pattern, counted in router.counts.items():
                dynamodb.add_metric([model, pattern], counted.dynamodb)
                for cause in get_args(Cause):
                    postgres.add_metric([model, pattern, cause], counted.postgres[cause])
                for verdict in get_args(Verdict):
                    sampled.add_metric([model, pattern, verdict], counted.sampled[verdict])
        yield from (dynamodb, postgres, sampled)
