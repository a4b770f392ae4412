"""The mirror's counts in an application's own Prometheus registry.

`migrator.app` does not import this module, nor prometheus_client with it: an application that has metrics imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from migrator.app.counts import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import CollectorRegistry

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
