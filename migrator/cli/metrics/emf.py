"""Lines in CloudWatch's embedded metric format: each is a log event from which CloudWatch makes metrics.

The format is described in the CloudWatch user guide, under "Specification: Embedded metric format".
"""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final

import orjson
import rich_click as click

from migrator.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry
    from prometheus_client.samples import Sample

NAMESPACE: Final = "migrator"
STDOUT: Final = "-"
SECONDS_BETWEEN: Final = 60.0
_MOST_METRICS: Final = 100
"""So many may stand in one line."""
_UNITS: Final = (("_bytes", "Bytes"), ("_seconds", "Seconds"), ("_dollars_total", "None"), ("", "Count"))


class Lines:
    """Makes lines of what a registry holds. It holds the counters as they were: CloudWatch adds up what it is told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._told: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def make(self, at: float) -> Iterator[bytes]:
        """A line for each set of labels, the labels being the dimensions; `at` is in Unix seconds."""
        values: dict[tuple[tuple[str, str], ...], dict[str, float]] = defaultdict(dict)
        for family in self._registry.collect():
            for sample in family.samples:
                value = self._growth(sample) if family.type == "counter" else sample.value
                if math.isfinite(value):
                    values[tuple(sorted(sample.labels.items()))][sample.name] = value
        for labels, metrics in values.items():
            names = list(metrics)
            for first in range(0, len(names), _MOST_METRICS):
                some = names[first : first + _MOST_METRICS]
                yield _line(at, dict(labels), {name: metrics[name] for name in some})

    def _growth(self, sample: Sample) -> float:
        """How much a counter has grown since it was told of."""
        key = sample.name, tuple(sorted(sample.labels.items()))
        before, self._told[key] = self._told.get(key, 0.0), sample.value
        return sample.value - before


def _line(at: float, labels: dict[str, str], metrics: dict[str, float]) -> bytes:
    document: dict[str, Any] = {
        "_aws": {
            "Timestamp": int(at * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(labels)],
                    "Metrics": [{"Name": name, "Unit": _unit(name)} for name in metrics],
                }
            ],
        },
        **labels,
        **metrics,
    }
    return orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)


def _unit(name: str) -> str:
    return next(unit for ending, unit in _UNITS if name.endswith(ending))


@contextmanager
def written(registry: CollectorRegistry, destination: str | None) -> Iterator[None]:
    """Write lines each minute while the block runs, and at its end; to a file, to stdout (`-`), or nowhere (None).

    Raises:
        UsageError: the file cannot be written.
    """
    if destination is None:
        yield
        return
    with _opened(destination) as write:
        lines, ended = Lines(registry), Event()

        def tell() -> None:
            while not ended.wait(SECONDS_BETWEEN):
                _tell(lines, write)

        thread = Thread(target=tell, name="metrics-lines", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            _tell(lines, write)


def _tell(lines: Lines, write: Callable[[bytes], None]) -> None:
    try:
        write(b"".join(lines.make(time.time())))
    except OSError as error:
        # The work itself does not depend on who counts it.
        click.echo(f"warning: metrics were not written: {error.strerror or error}", err=True)


@contextmanager
def _opened(destination: str) -> Iterator[Callable[[bytes], None]]:
    if destination == STDOUT:
        yield _print
        return
    try:
        file = open(destination, "ab", buffering=0)  # noqa: PTH123, SIM115 - closed below
    except OSError as error:
        raise UsageError(
            f"metrics cannot be written to {destination}: {error.strerror or error}",
            safe="Nothing was done.",
            next_step="Name a file that may be written to, or - for stdout.",
        ) from error

    def write(text: bytes) -> None:
        file.write(text)

    with file:
        yield write


def _print(text: bytes) -> None:
    sys.stdout.write(text.decode())
    sys.stdout.flush()
