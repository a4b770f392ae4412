"""The metrics of one engine, as a registry has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from migrator.cli.metrics.health import Health

if TYPE_CHECKING:
    from collections.abc import Iterable


# When a counter was made is told by nothing that anybody asks for, and would stand beside each of them.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations


class Tally:
    """Counters of one model, brought up to the totals that an engine tells. It holds what is counted already."""

    def __init__(self, model: str, *counters: Counter) -> None:
        self._counters = [each.labels(model) for each in counters]
        self._counted = [0] * len(counters)

    def count(self, *totals: int) -> None:
        """So much was done since the start, in the counters' order."""
        for counter, total, before in zip(self._counters, totals, self._counted, strict=True):
            counter.inc(total - before)
        self._counted = list(totals)


class Families:
    """Counters and gauges of a command, with a label for the model first, and whether its work goes on.

    Args:
        engine: what their names begin with, after `migrator_`.
        models: the names of the models.
        in_turn: whether they are worked on one after another: the command is ready when the first one is.
        beside: those of another engine of the same command, in whose registry these stand.
    """

    def __init__(self, engine: str, models: Iterable[str], *, in_turn: bool, beside: Families | None = None) -> None:
        self.models = list(models)
        self.registry: CollectorRegistry = CollectorRegistry() if beside is None else beside.registry
        ready = self.models[:1] if in_turn else self.models
        self.health: Health = Health(ready) if beside is None else beside.health
        self._engine = engine

    def counter(self, name: str, words: str, *labels: str) -> Counter:
        """A counter; one without labels of its own is known from the start, as a rate needs two values."""
        made = Counter(f"migrator_{self._engine}_{name}", words, ["model", *labels], registry=self.registry)
        for model in self.models if not labels else ():
            made.labels(model)
        return made

    def gauge(self, name: str, words: str, *labels: str) -> Gauge:
        """A gauge; what it shows is not known before it is set."""
        return Gauge(f"migrator_{self._engine}_{name}", words, ["model", *labels], registry=self.registry)
